//! Crosswalk.

pub mod access;
pub mod downstream;
pub mod error;
pub mod model;
pub mod storage;
pub mod vault;
