/** `wormhole.yaml` and `pod.yaml` to a checked, typed configuration; two configurations to a list of differences. */
export {};
