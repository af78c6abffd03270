//! Crosswalk.

pub mod access;
pub mod admin;
pub mod config;
pub mod contract;
pub mod downstream;
pub mod edge;
pub mod error;
pub mod mapping;
pub mod model;
pub mod observe;
pub mod storage;
pub mod vault;
pub mod web;
