/** All tables of the pod's database, also those of earlier versions: a name that rotted is none of them. */
export const POD_TABLES: readonly string[] = [
  'content.damaged',
  'content.evictable',
  'content.small',
  'content.state',
  'content.unnamed',
  'membership',
  'membership-document',
  'membership-facts',
  'membership-presence',
  'membership-record',
  'placement',
  'scrub',
];
