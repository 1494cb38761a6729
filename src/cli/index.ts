/** `wh`: one file a command; asks the daemon, prints. */
import Conflicts from './commands/conflicts.js';
import Doctor from './commands/doctor.js';
import Down from './commands/down.js';
import Evict from './commands/evict.js';
import Export from './commands/export.js';
import Fsck from './commands/fsck.js';
import HistoryCommand from './commands/history.js';
import Import from './commands/import.js';
import Inspect from './commands/inspect.js';
import Invite from './commands/invite.js';
import Join from './commands/join.js';
import Logs from './commands/logs.js';
import List from './commands/ls.js';
import Metrics from './commands/metrics.js';
import New from './commands/new.js';
import Pin from './commands/pin.js';
import Pods from './commands/pods.js';
import Resolve from './commands/resolve.js';
import Restore from './commands/restore.js';
import { ServiceInstall, ServiceRemove } from './commands/service.js';
import StatusCommand from './commands/status.js';
import Sync from './commands/sync.js';
import Trash from './commands/trash.js';
import Undo from './commands/undo.js';
import Unpin from './commands/unpin.js';
import Up from './commands/up.js';

/** Name → command, as oclif's explicit strategy reads them. */
export const COMMANDS = {
  new: New,
  invite: Invite,
  join: Join,
  up: Up,
  down: Down,
  status: StatusCommand,
  pods: Pods,
  ls: List,
  inspect: Inspect,
  conflicts: Conflicts,
  resolve: Resolve,
  sync: Sync,
  import: Import,
  export: Export,
  history: HistoryCommand,
  restore: Restore,
  trash: Trash,
  undo: Undo,
  pin: Pin,
  unpin: Unpin,
  evict: Evict,
  fsck: Fsck,
  logs: Logs,
  metrics: Metrics,
  'service:install': ServiceInstall,
  'service:remove': ServiceRemove,
  doctor: Doctor,
};
