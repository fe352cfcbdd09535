//! What the numbers mean: detectors, baseline, vote, hysteresis; pure and replayable.
