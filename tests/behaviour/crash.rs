//! The embedded store on disk: a process to kill, for whoever needs one, and what the folder keeps to itself. Kills at
//! random are the lab's (`tests/lab/attacks/crash`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bifrost::{Context, ErrorKind, Hub, NewTenant, Probe, Result, Run, Workflow, workflow};

/// Tells the test binary that it is the child, and where.
const CHILD: &str = "BIFROST_CRASH_TEST_FOLDER";

/// The outside world: a file that outlives every process, one line per write that was applied.
#[derive(Clone)]
pub(crate) struct Outside(pub(crate) PathBuf);

impl Outside {
    fn write(&self, line: &str) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.0).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Three writes to the outside, each with a probe, and steps between them.
fn three_writes(outside: &Outside) -> impl Workflow + use<> {
    let outside = outside.clone();
    workflow("three_writes", move |ctx: Context, number: u32| {
        let outside = outside.clone();
        async move {
            for part in 0..3 {
                let line = format!("{number}/{part}");
                ctx.step("prepare", || async { Ok(part) }).await?;
                ctx.effect("write")
                    .with_probe(|_| async { Ok(Probe::from(outside.lines().contains(&line).then_some(part))) })
                    .run(|_| async {
                        outside.write(&line);
                        Ok(part)
                    })
                    .await?;
            }
            Ok(number)
        }
    })
    .unwrap()
}

pub(crate) async fn open(folder: &Path) -> Result<Hub> {
    let outside = Outside(folder.join("outside"));
    Hub::builder().with_data_dir(folder.join("hub")).with_workflow(three_writes(&outside)).start().await
}

/// Runs executions one after another and tells of each acceptance and each end, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let hub = open(Path::new(&folder)).await.unwrap();
    let tenant = hub.tenants().get_or_create(NewTenant::customer("contoso")).await.unwrap();
    let next = tenant.executions(None, 1_000).await.unwrap().len();
    for number in u32::try_from(next).unwrap().. {
        let run = Run::new("three_writes", number).with_idempotency_key(number.to_string());
        let handle = tenant.start(run).await.unwrap();
        println!("\naccepted {number} {}", handle.id());
        if number % 3 == 0 {
            handle.wait().await.unwrap();
            println!("\nfinished {number} {}", handle.id());
        }
    }
}

pub(crate) fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_folder_in_use_is_refused_by_name_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let hub = open(folder.path()).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreLocked);
    assert_eq!(error.context("pid"), Some(std::process::id().to_string().as_str()));
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
    open(folder.path()).await.unwrap().shutdown(Duration::from_secs(10)).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.unwrap().shutdown(Duration::from_secs(10)).await.unwrap();
    let key = folder.path().join("hub/master.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = open(folder.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.suggested_action().unwrap().contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    open(folder.path()).await.unwrap().shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn nothing_personal_and_no_secret_is_readable_on_the_disk() {
    const CANARY: &str = "canary-Zoë-4711";
    let folder = tempfile::tempdir().unwrap();
    let echo = workflow("echo", |ctx: Context, text: String| async move {
        ctx.progress(1, 2, text.clone());
        ctx.step("echo", || async { Ok(text) }).await
    })
    .unwrap();
    let hub = Hub::builder().with_data_dir(folder.path()).with_workflow(echo).start().await.unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    tenant.secrets().set("token", CANARY).await.unwrap();
    tenant.config().set("note", CANARY).await.unwrap();
    let run = Run::new("echo", CANARY).with_idempotency_key(CANARY);
    assert_eq!(tenant.start(run).await.unwrap().wait().await.unwrap().into_output().unwrap(), CANARY);
    hub.shutdown(Duration::from_secs(10)).await.unwrap();
    let mut files = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "readable in {}", path.display());
        }
    }
    assert!(files >= 5, "{files} files");
}
