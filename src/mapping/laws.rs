//! What must hold for every mapping.
