/** A commented file with every key; what is active in it is the default. */
export const CONFIG_TEMPLATE = `# wormhole.yaml: what this network promises. Everything has a default; the empty file is valid.
#   wh config check wormhole.yaml    is it right?
#   wh plan wormhole.yaml            what would change?
#   wh apply wormhole.yaml           do it
# Durations: 30s 15m 12h 30d. Sizes: 64MB 1.5TB, or GiB. Rates: 20MB/s, or none.
version: 1
# network: atelier            # its name; needed only for \`wh up -f\`
copies: 2                     # pods that hold each file, unless a rule says otherwise
history: 30d                  # how long overwritten and deleted files can be restored
join: invite                  # invite | approve (only pods named below, with an invite) | closed
# admins: [nas-1, desktop]    # who may invite, remove and declare; by default every member
# seeds: ["nas.example.org:4747"]           # addresses to try beside what mDNS finds
# bandwidth: { up: 20MB/s, down: none }     # of each pod

# Pods by name; one that is not listed has the defaults.
# pods:
#   nas-1:   { role: storage, zone: cellar, media: hdd, capacity: 4TB, priority: 10 }
#   nas-2:   { zone: attic, media: hdd, capacity: 4TB }
#   desktop: { media: ssd, capacity: 500GB, bandwidth: { up: 5MB/s } }
#   laptop:  { role: portal, cache: 20GB, pin: [/projects/current] }

# Rules by path; the most specific wins, and what it leaves out comes from above.
# rules:
#   - path: /accounts/**
#     copies: 3
#     zones: 2                # in at least two zones
#     min-pods: 2             # fewer reachable holders than this is critical
#     crisis: { critical: read-only }
#   - path: /scratch/**
#     copies: 1
#     history: 0s
#     prefer: { media: ssd }
#   - path: /posts/**
#     affinity: { hot: { media: ssd }, cold: { media: hdd, after: 30d } }
#     require: { role: storage }
#   - path: "**/node_modules/**"
#     ignore: true            # the content stays on the machine that made it
#   - path: /archive/**
#     pin: [nas-1]            # this pod holds a copy of all of it
#     read-only: true
#     cache: no               # not kept in caches

# Responses, one or a list: continue, throttle, fewer-copies, read-only, stop.
crisis:
  grace: 15m                  # a silent pod is asleep for so long, then lost
  favourable: continue        # nothing lost, room to rebuild
  mixed: throttle             # nothing lost, no room to rebuild
  critical: continue          # files without a reachable copy, or below a rule's min-pods
  # notify: ["exec:/usr/local/bin/page-me", "https://hooks.example.org/wormhole"]   # told when the posture changes
`;
