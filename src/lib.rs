//! Crosswalk.

pub mod downstream;
pub mod error;
pub mod model;
