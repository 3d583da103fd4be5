//! The licence of every package is on the list.

use std::collections::HashSet;

use spdx::{Expression, ParseMode};

use super::Verdict;
use super::config::Config;
use crate::metadata::{Metadata, Package};

pub(super) fn judge(config: &Config, metadata: &Metadata) -> Verdict {
    let mut verdict = Verdict::default();
    let mut used = HashSet::new();
    for package in &metadata.packages {
        let allowed = allowed_for(config, package);
        match needed(package, &allowed) {
            Ok(licences) => used.extend(licences),
            Err(problem) => verdict.problems.push(problem),
        }
    }
    verdict.unused = unused(config, metadata, &used);
    verdict
}

fn allowed_for<'a>(config: &'a Config, package: &Package) -> HashSet<&'a str> {
    let exceptions = config.licenses.exceptions.iter();
    let own = exceptions.filter(|exception| exception.spec.matches(&package.name, &package.version));
    config.licenses.allow.iter().chain(own.flat_map(|exception| &exception.allow)).map(String::as_str).collect()
}

/// The allowed licences the package's expression names, or why they do not suffice.
fn needed(package: &Package, allowed: &HashSet<&str>) -> Result<Vec<String>, String> {
    let place = format!("licences: {} {}", package.name, package.version);
    let Some(text) = &package.license else {
        return Err(format!("{place} names none"));
    };
    let expression = Expression::parse_mode(text, ParseMode::LAX).map_err(|error| format!("{place}: {error}"))?;
    let mut named = Vec::new();
    let satisfied = expression.evaluate(|requirement| {
        let name = requirement.to_string();
        let is_allowed = allowed.contains(name.as_str());
        named.extend(is_allowed.then_some(name));
        is_allowed
    });
    if satisfied { Ok(named) } else { Err(format!("{place} has {text}, which deny.toml does not allow")) }
}

fn unused(config: &Config, metadata: &Metadata, used: &HashSet<String>) -> Vec<String> {
    let is_there = |spec: &super::config::Spec| {
        metadata.packages.iter().any(|package| spec.matches(&package.name, &package.version))
    };
    let licences = config.licenses.allow.iter().filter(|licence| !used.contains(*licence));
    let exceptions = config.licenses.exceptions.iter().map(|exception| &exception.spec).filter(|spec| !is_there(spec));
    licences
        .map(|licence| format!("deny.toml allows the licence {licence}, which no package has"))
        .chain(exceptions.map(|spec| format!("deny.toml has a licence exception for {spec}, which is not in the tree")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    const RULES: &str = "[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"BSD-3-Clause\"]\n\
                         exceptions = [{ crate = \"roots@1\", allow = [\"CDLA-Permissive-2.0\"] }]";

    fn problems(name: &str, licence: Option<&str>) -> Vec<String> {
        let mut metadata = made_up::workspace(&[(name, &[])]);
        metadata.packages[0].license = licence.map(str::to_owned);
        judge(&Config::parse(RULES).unwrap(), &metadata).problems
    }

    #[test]
    fn expressions_are_weighed() {
        for licence in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "GPL-3.0-only OR MIT",
            "(Apache-2.0 OR MIT) AND BSD-3-Clause",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert_eq!(problems("x", Some(licence)), Vec::<String>::new(), "{licence}");
        }
    }

    #[test]
    fn what_is_not_listed_is_red() {
        for licence in [
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "Apache-2.0 WITH LLVM-exception",
            "not a licence",
            "CDLA-Permissive-2.0",
        ] {
            assert_eq!(problems("x", Some(licence)).len(), 1, "{licence}");
        }
        assert_eq!(problems("x", None), ["licences: x 1.0.0 names none"]);
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        assert_eq!(problems("roots", Some("CDLA-Permissive-2.0")), Vec::<String>::new());
    }

    #[test]
    fn unused_entries_are_told() {
        let mut metadata = made_up::workspace(&[("x", &[])]);
        metadata.packages[0].license = Some("MIT OR Apache-2.0".to_owned());
        let unused = judge(&Config::parse(RULES).unwrap(), &metadata).unused.join("\n");
        assert!(unused.contains("BSD-3-Clause") && unused.contains("roots@1"), "{unused}");
        assert_eq!(unused.lines().count(), 2, "{unused}");
    }
}
