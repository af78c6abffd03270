//! Every row of the catalogue that can be reached, provoked over HTTP.
