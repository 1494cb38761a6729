import { renderUnicodeCompact } from 'uqr';
import { LIMITS, WormholeError } from '../../base/index.js';
import { parseDuration } from '../../config/index.js';
import { checkName } from '../../daemon/home.js';
import { WormholeCommand } from '../command.js';
import { Flags } from '../definitions.js';

export default class Invite extends WormholeCommand {
  static override summary = 'Print a one-time code that lets another machine in.';
  static override examples = [
    '<%= config.bin %> invite',
    '<%= config.bin %> invite --role portal --expires 1h',
  ];
  static override flags = {
    role: Flags.choice({
      options: ['storage', 'portal'],
      default: 'storage',
      description: 'a storage pod holds copies; a portal mounts and caches only',
    }),
    pod: Flags.string({ description: 'only for this pod, which gets that name', helpValue: 'NAME' }),
    expires: Flags.string({ description: 'how long the code is good for', default: '10m', helpValue: '10m' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Invite);
    const lifetimeMs = parseDuration(flags.expires) ?? 0;
    if (lifetimeMs <= 0 || lifetimeMs > LIMITS.inviteLifetimeMsMax) {
      throw new WormholeError(
        'usage',
        `--expires ${flags.expires} is not a duration up to 7d: write 10m or 1h.`,
      );
    }
    const invite = await this.ask(this.pod(flags.network), 'invite', {
      role: flags.role,
      lifetimeMs,
      pod: flags.pod === undefined ? null : checkName(flags.pod, 'pod'),
    });
    this.show(
      flags.json,
      invite,
      () =>
        `On the other machine:\n\n    wh join ${invite.code}\n\n` +
        (process.stdout.isTTY ? `${renderUnicodeCompact(invite.code)}\n\n` : '') +
        `Good for one machine, until ${new Date(invite.expires).toLocaleTimeString()}.\n`,
    );
  }
}
