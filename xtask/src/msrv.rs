//! The oldest Rust we promise is one that every dependency builds with.

use crate::metadata::{Metadata, Package};
use crate::report::{Failure, Outcome, Report};
use crate::workspace::Workspace;

/// Fails when a dependency asks for a newer Rust than `rust-version` of our own packages.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let metadata = workspace.metadata()?;
    let promised = promised(metadata)?;
    Failure::if_any(&too_new(metadata, &promised))?;
    Ok(Report::figure(format!("Rust {promised}")))
}

/// The one version that all our packages promise.
fn promised(metadata: &Metadata) -> Result<String, Failure> {
    let mut promises: Vec<_> = metadata.members().map(|package| package.rust_version.clone()).collect();
    promises.sort_unstable();
    promises.dedup();
    match promises.as_slice() {
        [Some(version)] => Ok(version.clone()),
        _ => Err(Failure::new("every package of the workspace must have `rust-version.workspace = true`")),
    }
}

fn too_new(metadata: &Metadata, promised: &str) -> Vec<String> {
    let is_newer =
        |package: &&Package| package.rust_version.as_deref().is_some_and(|wanted| parts(wanted) > parts(promised));
    let told = |package: &Package| {
        let wanted = package.rust_version.as_deref().unwrap_or_default();
        format!("{} {} needs Rust {wanted}, we promise {promised}", package.name, package.version)
    };
    metadata.packages.iter().filter(is_newer).map(told).collect()
}

/// The numbers of a version, as many as it has; those left out count as zero.
fn parts(version: &str) -> [u64; 3] {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse().unwrap_or_default());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::made_up;

    fn tree(ours: Option<&str>, theirs: Option<&str>) -> Metadata {
        let mut metadata = made_up::workspace(&[("ours", &["theirs"])]);
        made_up::add(&mut metadata, "theirs", &[]);
        metadata.packages[0].rust_version = ours.map(str::to_owned);
        metadata.packages[1].rust_version = theirs.map(str::to_owned);
        metadata
    }

    #[test]
    fn a_newer_dependency_is_red() {
        assert_eq!(
            too_new(&tree(Some("1.90"), Some("1.90.1")), "1.90"),
            ["theirs 1.0.0 needs Rust 1.90.1, we promise 1.90"]
        );
        assert_eq!(too_new(&tree(Some("1.90"), Some("1.100")), "1.90").len(), 1);
    }

    #[test]
    fn an_equal_older_or_silent_one_is_green() {
        for theirs in [Some("1.90.0"), Some("1.9"), None] {
            assert_eq!(too_new(&tree(Some("1.90"), theirs), "1.90"), Vec::<String>::new());
        }
    }

    #[test]
    fn our_packages_promise_one_version() {
        assert_eq!(promised(&tree(Some("1.90"), None)).unwrap(), "1.90");
        assert!(promised(&tree(None, None)).is_err());
    }
}
