//! Packages come from where deny.toml says, and from nowhere else.

use super::Verdict;
use super::config::Config;
use crate::metadata::{Metadata, Package};

pub(super) fn judge(config: &Config, metadata: &Metadata) -> Verdict {
    let strangers = metadata.packages.iter().filter(|package| !is_known(config, metadata, package));
    let told = |package: &Package| {
        let source = package.source.as_deref().unwrap_or("a folder outside the workspace");
        format!("sources: {} {} comes from {source}", package.name, package.version)
    };
    Verdict { problems: strangers.map(told).collect(), unused: Vec::new() }
}

fn is_known(config: &Config, metadata: &Metadata, package: &Package) -> bool {
    let Some(source) = &package.source else {
        return metadata.workspace_members.contains(&package.id);
    };
    match source.split_once('+') {
        Some(("registry" | "sparse", url)) => config.sources.allow_registry.iter().any(|allowed| allowed == url),
        Some(("git", url)) => config.sources.allow_git.iter().any(|allowed| url.starts_with(allowed.as_str())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    #[test]
    fn only_listed_registries_and_members_are_green() {
        let config = Config::parse("[sources]\nallow-registry = [\"https://registry.test/index\"]").unwrap();
        for (source, expected) in [
            (Some("registry+https://registry.test/index"), 0),
            (Some("registry+https://elsewhere.test/index"), 1),
            (Some("git+https://registry.test/index?rev=1#abc"), 1),
            (None, 1),
        ] {
            let mut metadata = made_up::workspace(&[("ours", &[])]);
            let mut package = made_up::package("theirs", "theirs", "1.0.0", Vec::new());
            package.source = source.map(str::to_owned);
            metadata.packages.push(package);
            assert_eq!(judge(&config, &metadata).problems.len(), expected, "{source:?}");
        }
    }
}
