//! Bucket in object storage for the tests: a server on loopback, whose objects and faults the test controls.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::bench::Bench;

/// Environment variable with a Python that has moto. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing moto a failure, and not a reason to skip.
const REQUIRED: &str = "PROMPTBATCH_TEST_MOTO_REQUIRED";

/// Keys of an account, which must be shown and stored nowhere.
pub const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "PUBLICPART5075521"), ("AWS_SECRET_ACCESS_KEY", "secretpart5075522")];

/// Address of the images in all tests.
pub const URL: &str = "s3://bucket/cats/all";

/// Bucket whose server counts the writes of every key.
pub struct Bucket {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    endpoint: String,
}

impl Bucket {
    /// Starts the server. `None`, with words, if this machine has no moto.
    pub fn start() -> Option<Self> {
        let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
        let import = Command::new(&python).args(["-c", "import moto.moto_server, boto3"]).output();
        if !import.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os(REQUIRED).is_none(), "{python} has no moto");
            eprintln!("SKIPPED: {python} has no moto; pip install 'moto[server]', or set {PYTHON}");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/storage.py");
        let mut command = Command::new(python);
        command.arg(script).env("NO_PROXY", "127.0.0.1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut port = String::new();
        stdout.read_line(&mut port).unwrap();
        let endpoint = format!("http://127.0.0.1:{}", port.trim());
        Some(Self { child, pipes: RefCell::new((stdin, stdout)), endpoint })
    }

    /// Gives a command the environment of this bucket.
    pub fn reach<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(KEYS).env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", &self.endpoint)
    }

    pub fn ask(&self, command: &str) -> Value {
        let (stdin, stdout) = &mut *self.pipes.borrow_mut();
        writeln!(stdin, "{command}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{command}: {answer:?}"))
    }

    /// Returns the number of writes that were done.
    pub fn n_writes(&self) -> u64 {
        self.ask("count")["writes"].as_u64().unwrap()
    }

    /// Returns the SHA-256 of every object below the address of the images, by its name. Checks that no key was ever written over.
    pub fn objects(&self) -> BTreeMap<String, String> {
        let listed: BTreeMap<String, Vec<String>> = serde_json::from_value(self.ask("list")).unwrap();
        let mut objects = BTreeMap::new();
        for (key, versions) in listed {
            let name = key.strip_prefix("cats/all/").unwrap_or_else(|| panic!("a stray key: {key}"));
            assert_eq!(versions.len(), 1, "{key} was written over");
            objects.insert(name.to_owned(), versions[0].clone());
        }
        objects.remove(".promptbatch-probe");
        objects
    }

    /// Goal: every succeeded job has its image in the bucket, as described in the results, and no other object is there.
    pub fn check_images(&self, bench: &Bench, n_jobs: usize) {
        let rows = bench.results();
        assert_eq!(rows.len(), n_jobs);
        let mut expected = BTreeMap::new();
        for row in rows {
            assert_eq!(row["status"], "succeeded", "{row:?}");
            let name = row["file_name"].strip_prefix(&format!("{URL}/")).expect("an address of this bucket");
            let before = expected.insert(name.to_owned(), row["sha256"].clone());
            assert!(before.is_none(), "a name twice: {name}");
        }
        assert_eq!(self.objects(), expected);
        assert!(!bench.path("out/images").exists(), "images are in the bucket only");
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
