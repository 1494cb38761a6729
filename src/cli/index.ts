/** `wh`: one file a command; asks the daemon, prints. */
import Apply from './commands/apply.js';
import ConfigCheck from './commands/config/check.js';
import ConfigHistory from './commands/config/history.js';
import ConfigShow from './commands/config/show.js';
import ConfigTemplate from './commands/config/template.js';
import ConfigUndo from './commands/config/undo.js';
import Conflicts from './commands/conflicts.js';
import Doctor from './commands/doctor.js';
import Down from './commands/down.js';
import Evict from './commands/evict.js';
import Export from './commands/export.js';
import Freeze from './commands/freeze.js';
import Fsck from './commands/fsck.js';
import HistoryCommand from './commands/history.js';
import Import from './commands/import.js';
import Inspect from './commands/inspect.js';
import Invite from './commands/invite.js';
import Join from './commands/join.js';
import Leave from './commands/leave.js';
import Logs from './commands/logs.js';
import List from './commands/ls.js';
import Metrics from './commands/metrics.js';
import New from './commands/new.js';
import Pin from './commands/pin.js';
import Plan from './commands/plan.js';
import Pods from './commands/pods.js';
import Rebalance from './commands/rebalance.js';
import Remove from './commands/remove.js';
import Resolve from './commands/resolve.js';
import Restore from './commands/restore.js';
import Scrub from './commands/scrub.js';
import { ServiceInstall, ServiceRemove } from './commands/service.js';
import StatusCommand from './commands/status.js';
import Sync from './commands/sync.js';
import Trash from './commands/trash.js';
import Undo from './commands/undo.js';
import Unfreeze from './commands/unfreeze.js';
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
  'config:template': ConfigTemplate,
  'config:check': ConfigCheck,
  'config:show': ConfigShow,
  'config:history': ConfigHistory,
  'config:undo': ConfigUndo,
  plan: Plan,
  apply: Apply,
  freeze: Freeze,
  unfreeze: Unfreeze,
  remove: Remove,
  leave: Leave,
  rebalance: Rebalance,
  scrub: Scrub,
};
