//! Files to registry: the only place below the edge that reads connector and mapping files, embedded or from folders.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use jsonschema::error::ValidationErrorKind;
use rust_embed::RustEmbed;
use serde_json::Value;

use super::Registry;
use super::compile::Connector;
use super::cross;
use super::manifest::Manifest;
use super::pattern;
use crate::mapping::document::escape;
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
/// Every fault of its files: one file's do not hide another's, and a mistyped key does not hide what else is wrong.
pub fn compile(files: &Files, contract: &Value) -> Result<Connector, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut mappings = BTreeMap::new();
    for (name, file) in &files.mappings {
        // `activities.calls` maps one of the several objects that are activities.
        let (name, source) =
            name.split_once('.').map_or((name.as_str(), None), |(name, source)| (name, Some(source)));
        let resource = Resource::from_name(name);
        let compiled = mapping(files, name, file, resource, contract);
        if let Some(resource) = resource {
            mappings.insert((resource, source.map(str::to_owned)), compiled.as_ref().ok().cloned());
        }
        faults.extend(compiled.err().into_iter().flatten());
    }
    let Read { document, manifest, faults: found, left_out } = match manifest(files) {
        Ok(read) => read,
        Err(found) => return Err(faults.into_iter().chain(found).collect()),
    };
    faults.extend(found);
    let unknown = cross::names(document.value(), contract);
    faults.extend(unknown.into_iter().map(|(pointer, message)| document.fault(&pointer, message)));
    if let Some(manifest) = manifest {
        mappings.retain(|(resource, _), _| {
            let at = format!("/resources/{resource}");
            manifest.resources.contains_key(resource) || !left_out.iter().any(|left| entry(left) == at)
        });
        let (connector, mut found) = Connector::compile(manifest, mappings);
        found.extend(cross::check(&connector));
        // Near a value that was left out, what seems wrong may only be its absence.
        found.retain(|(pointer, _)| !left_out.iter().any(|left| entry(left) == entry(pointer)));
        faults.extend(found.into_iter().map(|(pointer, message)| document.fault(&pointer, message)));
        if faults.is_empty() {
            return Ok(connector);
        }
    }
    // What is wrong in a pattern is found in every resource that fills it.
    faults.sort_by(|a, b| {
        (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
    });
    faults.dedup();
    Err(faults)
}

/// The first two steps of a pointer, such as `/resources/contacts`.
fn entry(pointer: &str) -> &str {
    pointer.match_indices('/').nth(2).and_then(|(end, _)| pointer.get(..end)).unwrap_or(pointer)
}

fn mapping(
    files: &Files,
    name: &str,
    file: &File,
    resource: Option<Resource>,
    contract: &Value,
) -> Result<Arc<Mapping>, Vec<Fault>> {
    let document = Document::parse(&file.name, &file.text)?;
    let schema = resource
        .and_then(|resource| UnifiedSchema::from_openapi(contract, resource.schema()))
        .ok_or_else(|| vec![document.fault("", format!("`{name}` is not a resource of the unified API"))])?;
    let mut faults = Vec::new();
    for (key, is) in [("connector", files.id.as_str()), ("resource", name)] {
        let says = document.value().get(key).and_then(Value::as_str).unwrap_or(is);
        if says != is {
            faults.push(
                document.fault(&format!("/{key}"), format!("is `{says}`, but the file's place says `{is}`")),
            );
        }
    }
    match Mapping::compile(&document, &schema) {
        Ok(mapping) if faults.is_empty() => return Ok(Arc::new(mapping)),
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    Err(faults)
}

/// A manifest as far as it can be read.
struct Read {
    document: Document,
    manifest: Option<Manifest>,
    faults: Vec<Fault>,
    /// Pointers of values that were left out, because they cannot be read.
    left_out: Vec<String>,
}

fn manifest(files: &Files) -> Result<Read, Vec<Fault>> {
    let document = Document::parse(&files.manifest.name, &files.manifest.text)?;
    let mut value = document.value().clone();
    let (origins, unknown) = pattern::apply(&mut value);
    let document = document.with_value(value, &origins);
    let mut faults: Vec<Fault> =
        unknown.into_iter().map(|(pointer, message)| document.fault(&pointer, message)).collect();
    let validator = jsonschema::validator_for(&MANIFEST_SCHEMA)
        .map_err(|fault| vec![document.fault("", format!("the manifest's own schema is broken: {fault}"))])?;
    faults.extend(document.validate_with(&validator, &MANIFEST_SCHEMA));
    let mut value = document.value().clone();
    let left_out = readable(&mut value, &validator);
    let read = |value: &Value| serde_json::from_value::<Manifest>(value.clone());
    let manifest = match read(&value).or_else(|_| {
        // What was left out is needed around it: without the whole resource, say, the others can still be read.
        left_out.iter().for_each(|pointer| leave_out(&mut value, entry(pointer)));
        read(&value)
    }) {
        Ok(manifest) => Some(manifest),
        Err(fault) => {
            if faults.is_empty() {
                faults.push(document.fault("", fault.to_string()));
            }
            None
        }
    };
    if let Some(manifest) = manifest.as_ref().filter(|manifest| manifest.connector != files.id) {
        let message = format!("is `{}`, but the folder is `{}`", manifest.connector, files.id);
        faults.push(document.fault("/connector", message));
    }
    Ok(Read { document, manifest, faults, left_out })
}

/// Takes unknown keys and unreadable values out of a manifest; the pointers of the values.
fn readable(value: &mut Value, validator: &jsonschema::Validator) -> Vec<String> {
    let (mut unknown, mut unreadable) = (Vec::new(), Vec::new());
    for error in validator.iter_errors(value) {
        let at = error.instance_path().to_string();
        match unknown_keys(&error) {
            Some(keys) => unknown.extend(keys.into_iter().map(|key| format!("{at}/{}", escape(&key)))),
            None => unreadable.push(at),
        }
    }
    unknown.iter().chain(&unreadable).for_each(|pointer| leave_out(value, pointer));
    unreadable
}

fn leave_out(value: &mut Value, pointer: &str) {
    if let Some((around, key)) = pointer.rsplit_once('/')
        && let Some(object) = value.pointer_mut(around).and_then(Value::as_object_mut)
    {
        object.remove(&key.replace("~1", "/").replace("~0", "~"));
    }
}

/// The keys that an object must not have, where that is all that is wrong with it.
fn unknown_keys(error: &jsonschema::ValidationError<'_>) -> Option<Vec<String>> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => Some(unexpected.clone()),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().find_map(|errors| {
                let here = |inner: &&jsonschema::ValidationError<'_>| {
                    inner.instance_path().to_string() == error.instance_path().to_string()
                };
                match errors.as_slice() {
                    [only] if here(&only) => unknown_keys(only),
                    _ => None,
                }
            })
        }
        _ => None,
    }
}
