import type { EventEmitter } from 'node:events';
import { Bonjour, type Browser, type Service, type ServiceConfig } from 'bonjour-service';
import { LIMITS, type Log, messageOf } from '../base/index.js';

/** One multicast DNS socket. It throws nothing, whatever the network or a packet is like; when the socket
 *  could not be bound, `failed` says that a new one is worth a try. */
export class MulticastDns {
  failed = false;
  onService: (service: Service) => void = () => {};
  private readonly bonjour: Bonjour;
  private readonly log: Log;
  private browser: Browser | undefined;
  private published = false;

  constructor(log: Log) {
    this.log = log;
    const report = (error: unknown) => log.debug('multicast', { reason: messageOf(error) });
    this.bonjour = new Bonjour({}, report);
    const dns = emitterOf(this.bonjour);
    dns.on('error', (error) => {
      report(error);
      this.failed = true;
    });
    dns.on('warning', report);
    // A hostile packet can make a listener inside the library throw: that must not end the process.
    const emit = dns.emit.bind(dns);
    dns.emit = (name, ...values) => {
      try {
        return emit(name, ...values);
      } catch (error) {
        report(error);
        return false;
      }
    };
  }

  publish(config: ServiceConfig): void {
    this.bonjour.publish(config);
    this.published = true;
  }

  /** Asks who is there. A new browser each time: it reports everybody who answers, known or not. */
  query(type: string): void {
    this.browser?.stop();
    let services = 0;
    const browser = this.bonjour.find({ type }, (service) => {
      if (++services > LIMITS.servicesPerQueryMax) browser.stop();
      else this.onService(service);
    });
    this.browser = browser;
  }

  /** Says goodbye where that is possible. */
  async close(): Promise<void> {
    this.browser?.stop();
    if (this.published && !this.failed) {
      await atMost(200, (done) => this.bonjour.unpublishAll(done));
    }
    await atMost(200, (done) => {
      try {
        this.bonjour.destroy(done);
      } catch (error) {
        this.log.debug('multicast', { reason: messageOf(error) });
        done();
      }
    });
  }
}

/** The library's types hide its socket, and without a listener for `error` there a busy port 5353 would end
 *  the process. This is the one place that reaches in. */
function emitterOf(bonjour: Bonjour): EventEmitter {
  return (bonjour as unknown as { server: { mdns: EventEmitter } }).server.mdns;
}

function atMost(ms: number, task: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
    task(() => resolve());
  });
}
