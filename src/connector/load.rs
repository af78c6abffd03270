//! Files to registry: the only place below the edge that reads connector and mapping files, embedded or from folders.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rust_embed::RustEmbed;
use serde_json::Value;

use super::Registry;
use super::compile::Connector;
use super::cross;
use super::manifest::Manifest;
use super::pattern;
use crate::mapping::{Document, Fault, Mapping, UnifiedSchema};
use crate::model::Resource;

#[derive(RustEmbed)]
#[folder = "connectors/"]
#[include = "*/manifest.yaml"]
struct EmbeddedConnectors;

#[derive(RustEmbed)]
#[folder = "mappings/"]
#[include = "*/*.yaml"]
struct EmbeddedMappings;

/// Where the files are; none for those within the binary.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The folder with a folder per connector.
    pub connectors: Option<PathBuf>,
    /// The folder with a folder of mappings per connector.
    pub mappings: Option<PathBuf>,
}

/// One file: its name for messages, and its text.
#[derive(Debug, Clone)]
pub struct File {
    /// The name, such as `mappings/hubspot/contacts.yaml`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// The files of one connector.
#[derive(Debug, Clone)]
pub struct Files {
    /// The folder's name.
    pub id: String,
    /// The manifest.
    pub manifest: File,
    /// Mapping files by resource name.
    pub mappings: BTreeMap<String, File>,
}

impl Source {
    /// The files of all connectors, by id.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(&self) -> io::Result<Vec<Files>> {
        let mut connectors = match &self.connectors {
            Some(folder) => read_below(folder, "connectors", &|path| path.ends_with("manifest.yaml"))?,
            None => embedded::<EmbeddedConnectors>("connectors"),
        };
        let mut mappings = match &self.mappings {
            Some(folder) => {
                read_below(folder, "mappings", &|path| path.extension().is_some_and(|kind| kind == "yaml"))?
            }
            None => embedded::<EmbeddedMappings>("mappings"),
        };
        let ids: Vec<String> = connectors.keys().cloned().collect();
        let files = ids.into_iter().filter_map(|id| {
            let manifest = connectors.remove(&id)?.remove("manifest")?;
            Some(Files { mappings: mappings.remove(&id).unwrap_or_default(), id, manifest })
        });
        Ok(files.collect())
    }
}

/// Files by connector and by their name without extension.
type Tree = BTreeMap<String, BTreeMap<String, File>>;

fn read_below(folder: &Path, name: &str, wanted: &dyn Fn(&Path) -> bool) -> io::Result<Tree> {
    let told =
        |path: &Path, fault: &io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", path.display()));
    let mut tree = Tree::new();
    for entry in std::fs::read_dir(folder).map_err(|fault| told(folder, &fault))? {
        let below = entry?.path();
        if !below.is_dir() {
            continue;
        }
        let id = below.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in std::fs::read_dir(&below).map_err(|fault| told(&below, &fault))? {
            let path = entry?.path();
            if wanted(&path) {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).map_err(|fault| told(&path, &fault))?;
                let name = format!("{name}/{id}/{}", path.file_name().unwrap_or_default().to_string_lossy());
                tree.entry(id.clone()).or_default().insert(stem, File { name, text });
            }
        }
    }
    Ok(tree)
}

fn embedded<E: RustEmbed>(name: &str) -> Tree {
    let mut tree = Tree::new();
    for path in E::iter() {
        if let (Some((id, file)), Some(found)) = (path.split_once('/'), E::get(&path))
            && let Some(stem) = file.strip_suffix(".yaml")
        {
            let text = String::from_utf8_lossy(&found.data).into_owned();
            tree.entry(id.to_owned())
                .or_default()
                .insert(stem.to_owned(), File { name: format!("{name}/{path}"), text });
        }
    }
    tree
}

/// The manifest's JSON schema, as editors take it.
pub static MANIFEST_SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Manifest).to_value());

/// The registry of all connectors of a source.
///
/// # Errors
/// Every fault of every file.
pub fn load(source: &Source, contract: &Value) -> Result<Registry, Vec<Fault>> {
    let unreadable = |fault: io::Error| {
        vec![Fault { file: "connectors".into(), line: 0, column: 0, message: fault.to_string() }]
    };
    let mut faults = Vec::new();
    let mut connectors = Vec::new();
    for files in source.read().map_err(unreadable)? {
        match compile(&files, contract) {
            Ok(connector) => connectors.push(connector),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(Registry::new(connectors)) } else { Err(faults) }
}

/// Compiles one connector; `contract` is `openapi/crm.yaml`.
///
/// # Errors
/// Every fault of its files.
pub fn compile(files: &Files, contract: &Value) -> Result<Connector, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut mappings = BTreeMap::new();
    for (name, file) in &files.mappings {
        let document = match Document::parse(&file.name, &file.text) {
            Ok(document) => document,
            Err(found) => {
                faults.extend(found);
                continue;
            }
        };
        let schema = Resource::from_name(name)
            .and_then(|resource| Some((resource, UnifiedSchema::from_openapi(contract, resource.schema())?)));
        let Some((resource, schema)) = schema else {
            faults.push(document.fault("", format!("`{name}` is not a resource of the unified API")));
            continue;
        };
        match Mapping::compile(&document, &schema) {
            Ok(mapping) => {
                mappings.insert(resource, Arc::new(mapping));
            }
            Err(found) => faults.extend(found),
        }
    }
    let compiled_mappings = mappings.len() == files.mappings.len();
    match manifest(files) {
        Ok((document, manifest)) => {
            // Where a mapping is broken, its absence is no fault of the manifest.
            match Connector::compile(manifest, mappings) {
                Ok(connector) => {
                    faults.extend(
                        cross::check(&connector, contract)
                            .into_iter()
                            .map(|(pointer, message)| document.fault(&pointer, message)),
                    );
                    if faults.is_empty() {
                        return Ok(connector);
                    }
                }
                Err(found) => faults.extend(
                    found
                        .into_iter()
                        .filter(|(_, message)| {
                            compiled_mappings || !message.contains("there is no mapping file")
                        })
                        .map(|(pointer, message)| document.fault(&pointer, message)),
                ),
            }
        }
        Err(found) => faults.extend(found),
    }
    Err(faults)
}

fn manifest(files: &Files) -> Result<(Document, Manifest), Vec<Fault>> {
    let document = Document::parse(&files.manifest.name, &files.manifest.text)?;
    let mut value = document.value().clone();
    let unknown = pattern::apply(&mut value);
    let document = document.with_value(value);
    let mut faults: Vec<Fault> =
        unknown.into_iter().map(|(pointer, message)| document.fault(&pointer, message)).collect();
    let validator = jsonschema::validator_for(&MANIFEST_SCHEMA)
        .map_err(|fault| vec![document.fault("", format!("the manifest's own schema is broken: {fault}"))])?;
    faults.extend(document.validate_with(&validator, &MANIFEST_SCHEMA));
    let manifest = serde_json::from_value::<Manifest>(document.value().clone());
    match manifest {
        Ok(manifest) => {
            if manifest.connector != files.id {
                faults.push(document.fault(
                    "/connector",
                    format!("is `{}`, but the folder is `{}`", manifest.connector, files.id),
                ));
            }
            if faults.is_empty() { Ok((document, manifest)) } else { Err(faults) }
        }
        Err(fault) => {
            if faults.is_empty() {
                faults.push(document.fault("", fault.to_string()));
            }
            Err(faults)
        }
    }
}
