//! The connectors of this repository hold together: files, laws, case folders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use crosswalk::check::check;
use crosswalk::contract;

#[test]
fn every_connector_passes_its_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::set_current_dir(root).unwrap();
    let report = check(None, contract::document()).unwrap();
    assert!(report.faults.is_empty(), "\n{}", report.faults.join("\n"));
    assert!(report.connectors >= 2 && report.mappings >= 10, "{report:?}");
}
