/** fast-check, drawing what `WORMHOLE_SEED` names where that is given: `npm test` gives one, so a run says of a change
 *  what it says anywhere. */
import fc from 'fast-check';

const given = process.env['WORMHOLE_SEED'];
if (given !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(given) });

export default fc;
