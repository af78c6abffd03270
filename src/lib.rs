//! Crosswalk.

pub mod access;
pub mod admin;
pub mod app;
pub mod check;
pub mod config;
pub mod connector;
pub mod contract;
pub mod cursor;
pub mod downstream;
pub mod edge;
pub mod envelope;
pub mod error;
pub mod mapping;
pub mod model;
pub mod normalise;
pub mod observe;
pub mod plan;
pub mod serve;
pub mod storage;
pub mod unify;
pub mod vault;
pub mod web;
