//! One version of each crate, none of the banned ones, and no manifest of ours that takes any version.

use std::collections::BTreeMap;

use super::Verdict;
use super::config::{Banned, Config};
use crate::metadata::Metadata;

pub(super) fn judge(config: &Config, metadata: &Metadata) -> Verdict {
    let mut problems = duplicates(config, metadata);
    problems.extend(banned(config, metadata));
    problems.extend(wildcards(metadata));
    Verdict { problems, unused: unused(config, metadata) }
}

fn duplicates(config: &Config, metadata: &Metadata) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &metadata.packages {
        let skipped = config.bans.skip.iter().any(|entry| entry.spec.matches(&package.name, &package.version));
        if !skipped {
            versions.entry(&package.name).or_default().push(&package.version);
        }
    }
    let doubled = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    doubled.map(|(name, versions)| format!("duplicates: {name} is in the tree as {}", versions.join(" and "))).collect()
}

fn banned(config: &Config, metadata: &Metadata) -> Vec<String> {
    let told = |entry: &Banned| {
        let mut packages = metadata.packages.iter();
        let found = packages.find(|package| entry.spec.matches(&package.name, &package.version))?;
        Some(format!("bans: {} {} is in the tree: {}", found.name, found.version, entry.reason))
    };
    config.bans.deny.iter().filter_map(told).collect()
}

fn wildcards(metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.members() {
        let open = package.dependencies.iter().filter(|asked| asked.req == "*" && asked.path.is_none());
        found.extend(open.map(|asked| format!("bans: {} takes any version of {}", package.name, asked.name)));
    }
    found
}

/// Skips that skip nothing: their crate is gone, or it is no longer there twice.
fn unused(config: &Config, metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for Banned { spec, .. } in &config.bans.skip {
        let skipped = metadata.packages.iter().find(|package| spec.matches(&package.name, &package.version));
        let doubled = |name: &str| metadata.packages.iter().filter(|package| package.name == name).count() > 1;
        match skipped {
            None => found.push(format!("deny.toml skips {spec}, which is not in the tree")),
            Some(package) if !doubled(&package.name) => {
                found.push(format!("deny.toml skips {spec}, which is there in one version only"));
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    fn verdict(rules: &str, packages: &[(&str, &str)]) -> Verdict {
        let mut metadata = Metadata::default();
        for (name, version) in packages {
            metadata.packages.push(made_up::package(&format!("{name}{version}"), name, version, Vec::new()));
        }
        judge(&Config::parse(rules).unwrap(), &metadata)
    }

    const TWO_SYN: &[(&str, &str)] = &[("syn", "2.0.1"), ("syn", "3.0.1"), ("quote", "1.0.0")];

    #[test]
    fn two_versions_are_red_until_one_is_skipped() {
        assert_eq!(verdict("", TWO_SYN).problems, ["duplicates: syn is in the tree as 2.0.1 and 3.0.1"]);
        let skipped = verdict("[bans]\nskip = [{ crate = \"syn@2\", reason = \"r\" }]", TWO_SYN);
        assert_eq!(skipped, Verdict::default());
    }

    #[test]
    fn skips_without_use_are_told() {
        let rules = "[bans]\nskip = [{ crate = \"gone@1\" }, { crate = \"quote@1\" }, { crate = \"syn@2\" }]";
        assert_eq!(
            verdict(rules, TWO_SYN).unused,
            [
                "deny.toml skips gone@1, which is not in the tree",
                "deny.toml skips quote@1, which is there in one version only"
            ]
        );
    }

    #[test]
    fn any_version_is_red_unless_it_is_ours() {
        let mut metadata = made_up::workspace(&[("ours", &["theirs", "own"])]);
        for asked in &mut metadata.packages[0].dependencies {
            asked.req = "*".to_owned();
        }
        metadata.packages[0].dependencies[1].path = Some("own".to_owned());
        assert_eq!(wildcards(&metadata), ["bans: ours takes any version of theirs"]);
    }

    #[test]
    fn a_banned_crate_is_red() {
        let rules = "[bans]\ndeny = [{ crate = \"openssl\", reason = \"one TLS\" }]";
        assert_eq!(verdict(rules, &[("openssl", "0.10.1")]).problems, ["bans: openssl 0.10.1 is in the tree: one TLS"]);
    }
}
