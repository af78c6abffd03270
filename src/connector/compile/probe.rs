//! How lost writes are looked for, compiled.

use super::faults::Faults;
use crate::connector::manifest::{ProbeSpec, WriteSpec};
use crate::connector::request::RequestTemplate;
use crate::mapping::Codec;
use crate::model::{Resource, Safety, Verb};

/// A read that finds what an earlier try of a create has made, ready.
#[derive(Debug)]
pub struct ProbePlan {
    /// What the manifest says.
    pub spec: ProbeSpec,
    /// The request.
    pub request: RequestTemplate,
    /// The codec of the time at which a record was created.
    pub created: Codec,
}

/// The probes of a write, and what is wrong with them.
pub(super) fn compile(
    at: &str,
    resource: Resource,
    verb: Verb,
    write: &WriteSpec,
    faults: &mut Faults,
) -> Vec<ProbePlan> {
    if verb != Verb::Create && !write.probe.is_empty() {
        faults
            .add(&format!("{at}/probe"), "only creates are looked for: updates and deletes can be repeated");
    }
    let probes = write.probe.iter().enumerate();
    let probes = probes.filter_map(|(index, spec)| {
        let step = format!("{resource}.{verb}.probe.{}", spec.name);
        one(&format!("{at}/probe/{index}"), &step, spec, faults)
    });
    probes.collect()
}

fn one(at: &str, step: &str, spec: &ProbeSpec, faults: &mut Faults) -> Option<ProbePlan> {
    if spec.by.is_empty() {
        faults.add(&format!("{at}/by"), "is empty: every record would be the one looked for");
    }
    let codec = spec.codec.as_deref().unwrap_or("datetime");
    let created = faults.ok(&format!("{at}/as"), Codec::parse(codec));
    let at = format!("{at}/request");
    let request = faults.request(&at, step, &spec.request, Safety::Read)?;
    for name in request.names() {
        let fault = match name.strip_prefix("sent.") {
            Some(path) if spec.by.contains_key(path) => continue,
            Some(path) => format!("`{{{name}}}` may have no value: `{path}` is not in `by`"),
            None if matches!(name, "since" | "since_ms" | "object" | "parent") => continue,
            None => {
                format!("nothing fills `{{{name}}}`; there are `{{sent.…}}`, `{{since}}`, `{{since_ms}}`")
            }
        };
        faults.add(&at, fault);
    }
    Some(ProbePlan { spec: spec.clone(), request, created: created? })
}
