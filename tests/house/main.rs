//! The house: one hermetic test binary, a module for each promise.
