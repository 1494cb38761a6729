import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricText } from '../../src/cli/commands/metrics.js';
import { unitName, unitText } from '../../src/cli/service-unit.js';

const SETTINGS = {
  network: 'ate"lier',
  folder: '/home/a b/100%/atelier',
  home: '/home/a b/100%',
  node: '/usr/bin/node',
  main: '/opt/wh/$x/main.js',
};

test('a unit names everything absolutely and quotes what systemd would take apart', () => {
  const lines = unitText({ ...SETTINGS, user: undefined }).split('\n');
  assert.ok(lines.includes('Environment="WH_HOME=/home/a b/100%%"'));
  assert.ok(
    lines.includes('ExecStart="/usr/bin/node" "/opt/wh/$$x/main.js" up --foreground --network "ate\\"lier"'),
  );
  assert.ok(lines.includes('StandardOutput=append:/home/a b/100%%/atelier/daemon.log'));
  assert.ok(lines.includes('WantedBy=default.target'));
  assert.ok(!lines.some((line) => line.startsWith('User=')));
  const system = unitText({ ...SETTINGS, user: 'root' }).split('\n');
  assert.ok(system.includes('User=root'));
  assert.ok(system.includes('WantedBy=multi-user.target'));
});

test('two homes with one network have two units, whose names systemd takes', () => {
  const names = ['/a', '/b'].map((home) => unitName({ network: 'häuser 1', home }));
  assert.notEqual(names[0], names[1]);
  for (const name of names) assert.match(name, /^wormhole-[A-Za-z0-9._-]+\.service$/);
});

test('metrics are written as Prometheus reads them', () => {
  const samples = [{ labels: { pod: 'a"b\\' }, value: 1.5 }];
  assert.equal(
    metricText({ name: 'x_bytes', type: 'gauge', help: 'X.', samples }),
    '# HELP x_bytes X.\n# TYPE x_bytes gauge\nx_bytes{pod="a\\"b\\\\"} 1.5\n',
  );
  assert.equal(metricText({ name: 'x', type: 'gauge', help: 'X.', samples: [] }), '');
});
