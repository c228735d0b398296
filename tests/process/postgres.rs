//! PostgreSQL for the tests: a cluster of its own in a temporary folder, which ends with the process of the tests.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Environment variable that makes a missing server a failure, and not a reason to skip.
const REQUIRED: &str = "PROMPTBATCH_TEST_POSTGRES_REQUIRED";

/// Folder in which Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Script that makes a cluster in $1 with the programs in $2 and serves it on port $3. Each line on its input is a command. Its end stops the
/// server and removes the folder, whatever ended the tests.
const SCRIPT: &str = r#"
set -e
start() { "$2/postgres" -D "$1/data" -k "" -p "$3" -c listen_addresses=127.0.0.1 -c max_connections=60 >"$1/log" 2>&1 & pid=$!; }
"$2/initdb" -D "$1/data" -A trust -U tester --no-sync >/dev/null
start "$@"
echo started
while read -r command; do
    case "$command" in
        stop) kill -QUIT "$pid"; wait "$pid" || true ;;
        start) start "$@" ;;
    esac
    echo done
done
kill -QUIT "$pid" 2>/dev/null || true
wait "$pid" 2>/dev/null || true
rm -rf "$1"
"#;

/// Cluster with one server.
pub struct Cluster {
    port: u16,
    programs: PathBuf,
    pipes: Mutex<(ChildStdin, BufReader<std::process::ChildStdout>)>,
    _child: Child,
}

/// Returns the cluster that all tests of this process share. `None`, with words, if this machine has no PostgreSQL.
pub fn shared() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start).as_ref()
}

impl Cluster {
    /// Starts a cluster. `None`, with words, if this machine has no PostgreSQL.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os(REQUIRED).is_none(), "this machine has no initdb");
            eprintln!("SKIPPED: this machine has no initdb (PostgreSQL), neither on the PATH nor in {VERSIONS}");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().unwrap().keep();
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&folder).arg(&programs).arg(port.to_string());
        as_user(&mut command, &folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "started", "initdb failed");
        let cluster = Self { port, programs, pipes: Mutex::new((stdin, stdout)), _child: child };
        cluster.wait();
        Some(cluster)
    }

    /// Returns the address of a shared run of this name.
    pub fn address(&self, run: &str) -> String {
        format!("postgres://tester@127.0.0.1:{}/postgres?run={run}", self.port)
    }

    /// Runs a statement, and returns what it shows.
    pub fn sql(&self, sql: &str) -> String {
        let shown = Command::new(self.programs.join("psql"))
            .args([
                "-XAtq",
                "-h",
                "127.0.0.1",
                "-U",
                "tester",
                "-d",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-c",
                sql,
            ])
            .output()
            .unwrap();
        String::from_utf8(shown.stdout).unwrap().trim().to_owned()
    }

    /// Stops the server at once, as a crash does.
    pub fn stop(&self) {
        self.command("stop");
    }

    /// Starts the server again, and waits until it answers.
    pub fn start_again(&self) {
        self.command("start");
        self.wait();
    }

    fn command(&self, word: &str) {
        let (stdin, stdout) = &mut *self.pipes.lock().unwrap();
        writeln!(stdin, "{word}").unwrap();
        stdout.read_line(&mut String::new()).unwrap();
    }

    fn wait(&self) {
        for _ in 0..600 {
            if self.sql("SELECT 'up'") == "up" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the server does not answer");
    }
}

/// Returns a free port below those that the system gives to whoever asks for any. No other test gets it before the server does.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(15_000..30_000));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one port is free")
}

/// Finds the folder of the programs: on the PATH, or the latest of Debian's versions.
fn programs() -> Option<PathBuf> {
    let has_it = |folder: &Path| folder.join("initdb").is_file() && folder.join("psql").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| has_it(folder)) {
        return Some(folder);
    }
    let versions = std::fs::read_dir(VERSIONS).ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|folder| has_it(folder)).max()
}

/// Runs a command as another user if this one is root, whom the server refuses.
#[cfg(unix)]
fn as_user(command: &mut Command, folder: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;

    if std::fs::metadata(folder).unwrap().uid() != 0 {
        return;
    }
    let id = |flag| {
        let shown = Command::new("id").args([flag, "postgres"]).output().unwrap().stdout;
        String::from_utf8(shown).unwrap().trim().parse::<u32>().expect("there is a user postgres")
    };
    let (user, group) = (id("-u"), id("-g"));
    chown(folder, Some(user), Some(group)).unwrap();
    command.uid(user).gid(group).current_dir(folder);
}

#[cfg(not(unix))]
fn as_user(_: &mut Command, _: &Path) {}
