import type { Metric } from '../../daemon/control.js';
import { WormholeCommand } from '../command.js';

export default class Metrics extends WormholeCommand {
  static override summary = "The daemon's figures as Prometheus text.";
  static override examples = [
    '<%= config.bin %> metrics',
    '<%= config.bin %> metrics > /var/lib/node_exporter/textfile/wormhole.prom',
  ];

  override async run(): Promise<void> {
    const { flags } = await this.parse(Metrics);
    const metrics = await this.ask(this.pod(flags.network), 'metrics', {});
    this.show(flags.json, metrics, () => metrics.map(metricText).join(''));
  }
}

/** One metric in Prometheus' text format, version 0.0.4; nothing where there is no sample. */
export function metricText({ name, type, help, samples }: Metric): string {
  if (samples.length === 0) return '';
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
