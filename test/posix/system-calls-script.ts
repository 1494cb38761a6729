/** What {@link SystemCalls} runs: reads lists of calls, one a line, and writes their outcomes. */
export const SYSTEM_CALLS_SCRIPT = `
import base64, ctypes, errno, fcntl, hashlib, json, mmap, os, socket, stat, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
slots = {}

def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

class Calls:
    """Beyond Python's os."""
    def renameat2(old, new, flags):
        check(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))
    def linkat(old, new, flags):
        check(libc.linkat(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))
    def creat(path, mode, flags=0):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | flags, mode))
    def touch(path, flags):
        os.close(os.open(path, flags))
    def utimens(path, atime, mtime, follow=True):
        """Each time is [seconds, nanoseconds]; nanoseconds 0x3fffffff: now, 0x3ffffffe: leave."""
        times = (ctypes.c_long * 4)(*atime, *mtime)
        check(libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0 if follow else 0x100))
    def futimens(fd, atime, mtime):
        check(libc.futimens(fd, (ctypes.c_long * 4)(*atime, *mtime)))
    def bind(path):
        # The address of a socket has at most 107 bytes: the folder goes in by its descriptor.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.bind('/proc/self/fd/%d/%s' % (folder, os.path.basename(path)))
        finally:
            os.close(folder)
    def flock(fd, operation):
        fcntl.flock(fd, operation)
    def lock(fd, kind, start, length):
        """Sets a record lock without waiting: F_RDLCK, F_WRLCK or F_UNLCK."""
        fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0))
    def lock_in_child(path, kind, start, length):
        """Whether another process may set this record lock."""
        pid = os.fork()
        if pid == 0:
            try:
                fd = os.open(path, os.O_RDWR)
                fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0))
                os._exit(0)
            except OSError as e:
                os._exit(1 if e.errno in (errno.EAGAIN, errno.EACCES) else 2)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 2: raise OSError(errno.EIO, 'the lock failed otherwise')
        return code == 0
    def fcntl(fd, command, argument=0):
        return fcntl.fcntl(fd, command, argument)
    def copy_file_range(source, target, count, from_=0, to=0):
        return os.copy_file_range(source, target, count, from_, to)
    def fallocate(fd, mode, offset, length):
        check(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))
    def sparse(path):
        """Makes a file of two blocks of 1 MiB with 8 MiB of nothing between, durable."""
        fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        os.pwrite(fd, b'a' * 1048576, 0)
        os.pwrite(fd, b'b' * 1048576, 9 * 1048576)
        os.fsync(fd)
        os.close(fd)
    def statvfs(path):
        s = os.statvfs(path)
        return {name: getattr(s, name) for name in dir(s) if name.startswith('f_')}
    def names(path):
        return sorted(os.listdir(path))
    def read_all(path):
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try: return b''.join(iter(lambda: os.read(fd, 1048576), b''))
        finally: os.close(fd)
    def write_all(path, data, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode=0o644):
        fd = os.open(path, flags | os.O_NONBLOCK, mode)
        try: return os.write(fd, data)
        finally: os.close(fd)
    def shell(script, *parameters):
        """The exit code of a script, run with the rights of the caller."""
        pid = os.fork()
        if pid == 0:
            uid, gid = os.geteuid(), os.getegid()
            os.seteuid(0)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            null = os.open('/dev/null', os.O_RDWR)
            for fd in (0, 1, 2): os.dup2(null, fd)
            os.execv('/bin/sh', ['sh', '-c', script, 'sh', *parameters])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    # Descriptors by number, for sequences that are written down before they run.
    def slot_open(slot, path, flags, mode=0o644):
        if slot in slots: os.close(slots.pop(slot))
        slots[slot] = os.open(path, flags, mode)
    def slot(number, name, *arguments):
        if number not in slots: raise OSError(errno.EBADF, 'not open')
        if name == 'close': return os.close(slots.pop(number))
        # What a position in a folder means is each file system's own affair.
        if name == 'lseek' and stat.S_ISDIR(os.fstat(slots[number]).st_mode): return None
        function = getattr(Calls, name, None) or getattr(os, name)
        return function(slots[number], *arguments)
    def slots_close():
        for fd in slots.values(): os.close(fd)
        slots.clear()
    def tree(root):
        """All that two folders must agree on, sorted by path."""
        seen = {}
        lines = []
        def add(path, name):
            s = os.lstat(path)
            first = seen.setdefault(s.st_ino, name)
            line = [name, oct(s.st_mode), s.st_nlink, s.st_uid, s.st_gid, s.st_rdev, 'same as ' + first]
            if not stat.S_ISDIR(s.st_mode):
                line.append(s.st_size)
                # A time that was set by hand is kept to the nanosecond; the clock's differ.
                line.append(str(s.st_mtime_ns) if s.st_mtime_ns < 1500000000000000000 else 'now')
            if stat.S_ISLNK(s.st_mode): line.append(os.readlink(path))
            if stat.S_ISREG(s.st_mode): line.append(hashlib.sha256(Calls.read_all(path)).hexdigest()[:16])
            if stat.S_ISREG(s.st_mode) or stat.S_ISDIR(s.st_mode):
                line.append([[x, hashlib.sha256(os.getxattr(path, x)).hexdigest()[:8]] for x in sorted(os.listxattr(path))])
            lines.append(json.dumps(line))
            if stat.S_ISDIR(s.st_mode):
                for each in sorted(os.listdir(path)): add(path + '/' + each, name + '/' + each)
        add(root, '.')
        return lines

def value_of(result):
    if isinstance(result, (bytes, bytearray)): return {'bytes': base64.b64encode(result).decode()}
    if isinstance(result, os.stat_result):
        return {name: str(value) if name.endswith('_ns') else value for name in dir(result)
                if name.startswith('st_') and isinstance(value := getattr(result, name), int)}
    if isinstance(result, (list, tuple)): return [value_of(each) for each in result]
    return result

def argument_of(value):
    if isinstance(value, dict): return base64.b64decode(value['bytes'])
    return value

def become(user):
    os.setgroups(user.get('groups', []))
    os.setegid(user['gid'])
    os.seteuid(user['uid'])

def back():
    os.seteuid(0)
    os.setegid(0)
    os.setgroups([])

def outcome(call):
    user = call.get('as')
    function = getattr(Calls, call['name'], None) or getattr(os, call['name'])
    keywords = {k: tuple(v) if isinstance(v, list) else v for k, v in call.get('keywords', {}).items()}
    umask = None
    try:
        if user is not None:
            umask = os.umask(user.get('umask', 0o022))
            become(user)
        return {'value': value_of(function(*[argument_of(each) for each in call['arguments']], **keywords))}
    except OSError as e:
        return {'error': errno.errorcode.get(e.errno, str(e.errno))}
    finally:
        if user is not None:
            back()
            os.umask(umask)

print('ready', flush=True)
with open(sys.argv[1]) as requests, open(sys.argv[2], 'w') as answers:
    for line in requests:
        answers.write(json.dumps([outcome(call) for call in json.loads(line)]) + '\\n')
        answers.flush()
`;
