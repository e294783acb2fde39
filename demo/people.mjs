// Who signs in, in the demo and its tests.
export const SARAH = { user: 'sarah.connor@orchestrator.lab', password: 'judgmentday' };
export const JOHN = { user: 'john.mcclane@orchestrator.lab', password: 'yippiekayay' };
