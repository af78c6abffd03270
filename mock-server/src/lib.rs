//! Vendor-shaped mock CRMs.
