//! Names, envelopes and refusals.
