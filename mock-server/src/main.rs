//! The mock CRMs as a program of their own.
fn main() {}
