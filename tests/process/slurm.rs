//! Parts of one manifest as an array job of a real Slurm on this machine, with the script of the documentation.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, stderr, stdout, wait_until};

/// Environment variable that makes a missing Slurm a failure, and not a reason to skip.
const REQUIRED: &str = "PROMPTBATCH_TEST_SLURM_REQUIRED";

/// Page with the script for Slurm.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/many-machines.md");

/// Slurm with one node, this machine. It ends with this value.
struct Slurm {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Slurm {
    /// Starts it. `None`, with words, if this machine has none.
    fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
        if !["munged", "slurmctld", "slurmd", "sbatch"].into_iter().all(has) {
            assert!(std::env::var_os(REQUIRED).is_none(), "there is no Slurm");
            eprintln!("SKIPPED: there is no Slurm; apt-get install slurmctld slurmd slurm-client munge");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::set_permissions(at, fs::Permissions::from_mode(0o711)).unwrap();
        fs::create_dir(at.join("run")).unwrap();
        let key: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1024).collect();
        fs::write(at.join("key"), key).unwrap();
        fs::set_permissions(at.join("key"), fs::Permissions::from_mode(0o400)).unwrap();
        fs::write(at.join("slurm.conf"), settings(at)).unwrap();
        let text = |name: &str| at.join(name).to_str().unwrap().to_owned();
        let munged = [
            "--force".to_owned(),
            "--foreground".to_owned(),
            format!("--socket={}", text("run/munge")),
            format!("--key-file={}", text("key")),
            format!("--pid-file={}", text("run/munge.pid")),
            format!("--log-file={}", text("munge.log")),
            format!("--seed-file={}", text("seed")),
        ];
        let mut slurm = Self { folder, daemons: Vec::new() };
        slurm.daemon("munged", &munged);
        wait_until("munge answers", || slurm.path("run/munge").exists());
        slurm.daemon("slurmctld", &["-D".to_owned()]);
        slurm.daemon("slurmd", &["-D".to_owned()]);
        wait_until("the node is idle", || {
            stdout(&slurm.command("sinfo").arg("-h").output().unwrap()).contains(" idle ")
        });
        Some(slurm)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    fn daemon(&mut self, program: &str, args: &[String]) {
        let mut command = self.command(program);
        self.daemons.push(command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// Submits the script in the folder of the bench, with the environment that a user's shell would have. Returns the number of the job.
    fn sbatch(&self, bench: &Bench, args: &[&str]) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_promptbatch")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = self.command("sbatch");
        command.arg("--parsable").args(args).arg("images.sbatch").current_dir(bench.folder.path());
        command.env("PATH", path).env("HOME", bench.folder.path()).env("PROMPTBATCH_BASE_URL", bench.simulator.url());
        let output = command.env_remove("MODELSCOPE_API_KEY").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    }

    fn tell(&self, program: &str, args: &[&str]) {
        let output = self.command(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {}", stderr(&output));
    }

    fn wait_for_all(&self) {
        let is_empty = || stdout(&self.command("squeue").arg("-h").output().unwrap()).is_empty();
        wait_until("all jobs of Slurm have ended", is_empty);
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Returns the settings of a Slurm in this folder: no root, no cgroups, no accounting.
fn settings(at: &Path) -> String {
    let text = |command: &str, args: &[&str]| {
        let output = Command::new(command).args(args).output().unwrap();
        stdout(&output).trim().to_owned()
    };
    let (host, user) = (text("hostname", &["-s"]), text("id", &["-un"]));
    // The ports are free while all of them are held.
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [controller, node] = held.map(|listener| listener.local_addr().unwrap().port());
    let at = at.display();
    format!(
        "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\nAuthType=auth/munge\n\
         AuthInfo=socket={at}/run/munge,cred_expire=5\nCryptoType=crypto/munge\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
         StateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool\nSlurmctldPidFile={at}/run/slurmctld.pid\n\
         SlurmdPidFile={at}/run/slurmd.pid\nSlurmctldLogFile={at}/slurmctld.log\nSlurmdLogFile={at}/slurmd.log\n\
         ProctrackType=proctrack/pgid\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
         AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
         ReturnToService=2\nMpiDefault=none\nSlurmdParameters=config_overrides\nMinJobAge=2\n\
         NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN\n\
         PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
    )
}

/// Returns the script of the documentation.
fn script() -> String {
    let page = fs::read_to_string(PAGE).unwrap();
    let (_, section) = page.split_once("## Slurm").expect("the page has a section about Slurm");
    let (_, block) = section.split_once("```bash\n").expect("the section has a script");
    block.split_once("```").expect("the block ends").0.to_owned()
}

/// Goal: the script of the documentation does what the page says.
///
/// Method: three of eight parts fail to come, and `merge` names them as an array. They are submitted as the page says. One is told by
/// Slurm to end early, and one is requeued in the middle. Afterwards every image is there once, and none was paid for twice.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_script_for_slurm_runs_and_its_missing_parts_come_later() {
    let Some(slurm) = Slurm::start() else { return };
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(4), ..quick() });
    bench.csv(48);
    fs::create_dir_all(bench.path(".config/promptbatch")).unwrap();
    bench.write(".config/promptbatch/token", "test-token\n");
    bench.write("images.sbatch", &script().replace("--rate 60/m", "--rate 80/s"));
    slurm.sbatch(&bench, &["--array=1-2,4-6"]);
    slurm.wait_for_all();
    let merged = bench.output(&["merge", "out/cats", "--progress", "none"]);
    expect_code(&merged, 5);
    assert!(stderr(&merged).contains("--array=3,7-8"), "{}", stderr(&merged));

    let n_before = bench.stats().n_submits;
    let job = slurm.sbatch(&bench, &["--array=3,7-8"]);
    wait_until("the parts have submitted", || bench.stats().n_submits >= n_before + 6);
    slurm.tell("scancel", &["--batch", "--signal=TERM", &format!("{job}_3")]);
    slurm.tell("scontrol", &["requeue", &format!("{job}_7")]);
    slurm.wait_for_all();
    // The part that was told to end is submitted again. The two others are finished.
    slurm.sbatch(&bench, &["--array=3"]);
    slurm.wait_for_all();
    expect_code(&bench.output(&["merge", "out/cats", "--progress", "none"]), 0);
    assert_eq!(files(&bench.path("out/cats/images")).len(), 48);
    assert_eq!(bench.stats().n_submits, 48, "a signal and a requeue cost nothing");
}
