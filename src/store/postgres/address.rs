//! Address of a shared run: where its server is, how to log in, and which run is meant. The environment completes it, as for `psql`.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Name of a run whose address gives none.
const DEFAULT_RUN: &str = "main";

/// Beginning of the name of a run's schema.
const SCHEMA_PREFIX: &str = "promptbatch_";

/// Longest name of a run. A name in PostgreSQL has at most 63 bytes.
const RUN_CHARS_MAX: usize = 40;

/// Folder of the server's socket on this machine.
const SOCKETS: &str = "/var/run/postgresql";

/// Time limit of one attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which a connection without an answer counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Protection of the connection, in the words of libpq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// `disable`: no encryption.
    Disable,
    /// `prefer`: encryption if the server offers it. The server is not verified.
    Prefer,
    /// `require`: encryption. The server is not verified.
    Require,
    /// `verify-full`: encryption, and a server that proves its name. `None` trusts the roots of this machine.
    Verify(Option<PathBuf>),
}

/// Address of a run that several machines share: `postgres://user@host/database?run=NAME`. Its texts never contain the password.
#[derive(Clone)]
pub struct SharedAddress {
    pub(super) config: Config,
    pub(super) protection: Protection,
    run: String,
}

/// Text that is no address of a shared run. The text is not repeated, because it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not read the address of the ledger: {0}; write it as postgres://user@host/database?run=NAME")]
pub struct SharedAddressError(String);

impl SharedAddress {
    /// Returns the name of the run's schema.
    pub(super) fn schema(&self) -> String {
        format!("{SCHEMA_PREFIX}{}", self.run)
    }

    /// Returns the name of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Completes the address from the environment of this process, as `psql` does.
    fn complete(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SharedAddressError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let config = &mut self.config;
        if config.get_hosts().is_empty() {
            let local = if cfg!(unix) && Path::new(SOCKETS).is_dir() { SOCKETS } else { "localhost" };
            config.host(set("PGHOST").unwrap_or_else(|| local.to_owned()));
        }
        if config.get_ports().is_empty() {
            let port = set("PGPORT").map_or(Ok(5432), |port| port.parse());
            config.port(port.map_err(|_| SharedAddressError("PGPORT is no port".to_owned()))?);
        }
        if config.get_user().is_none_or(str::is_empty) {
            let user = set("PGUSER").or_else(|| set("USER")).or_else(|| set("USERNAME"));
            config.user(user.ok_or_else(|| SharedAddressError("it names no user, and PGUSER is not set".to_owned()))?);
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            let user = config.get_user().unwrap_or_default().to_owned();
            config.dbname(set("PGDATABASE").unwrap_or(user));
        }
        if config.get_password().is_none() {
            let given = set("PGPASSWORD").or_else(|| {
                let home = || set("HOME").map(|home| Path::new(&home).join(".pgpass"));
                let file = set("PGPASSFILE").map(PathBuf::from).or_else(home)?;
                password_in(&fs::read_to_string(file).ok()?, config)
            });
            if let Some(password) = given {
                config.password(password);
            }
        }
        config.application_name("promptbatch").connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(SILENCE_MAX);
        config.keepalives(true).keepalives_idle(SILENCE_MAX).keepalives_interval(Duration::from_secs(5));
        config.ssl_mode(match self.protection {
            Protection::Disable => SslMode::Disable,
            Protection::Prefer => SslMode::Prefer,
            Protection::Require | Protection::Verify(_) => SslMode::Require,
        });
        Ok(self)
    }

    fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SharedAddressError> {
        let odd = |what: &str| SharedAddressError(what.to_owned());
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(odd("it does not begin with postgres://"));
        }
        let (base, parameters) = text.split_once('?').unwrap_or((text, ""));
        let (mut run, mut mode, mut roots) = (DEFAULT_RUN.to_owned(), variable("PGSSLMODE"), variable("PGSSLROOTCERT"));
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("run", name)) => name.clone_into(&mut run),
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => roots = Some(value.to_owned()),
                _ => others.push(parameter),
            }
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if run.is_empty() || run.len() > RUN_CHARS_MAX || !run.chars().all(is_plain) {
            return Err(odd("the name of the run may have 40 lower-case letters, digits and underscores"));
        }
        let roots = roots.filter(|path| !path.is_empty() && path != "system").map(PathBuf::from);
        let protection = match mode.as_deref().filter(|mode| !mode.is_empty()).unwrap_or("prefer") {
            "disable" => Protection::Disable,
            "allow" | "prefer" => Protection::Prefer,
            "require" => Protection::Require,
            "verify-ca" | "verify-full" => Protection::Verify(roots),
            _ => return Err(odd("sslmode is disable, prefer, require or verify-full")),
        };
        let rest = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        let config = rest.parse().map_err(|error: tokio_postgres::Error| {
            odd(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        Self { config, protection, run }.complete(variable)
    }
}

impl FromStr for SharedAddress {
    type Err = SharedAddressError;

    fn from_str(text: &str) -> Result<Self, SharedAddressError> {
        Self::parse(text, |name| env::var(name).ok())
    }
}

impl fmt::Display for SharedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string().replace('/', "%2F"),
        });
        let ports = self.config.get_ports();
        let port = |i: usize| ports.get(i).or(ports.first()).filter(|port| **port != 5432);
        let hosts = hosts.enumerate().map(|(i, host)| port(i).map_or(host.clone(), |port| format!("{host}:{port}")));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let (user, database) = (self.config.get_user().unwrap_or(""), self.config.get_dbname().unwrap_or(""));
        write!(f, "postgres://{user}@{hosts}/{database}?run={}", self.run)
    }
}

impl fmt::Debug for SharedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedAddress({self})")
    }
}

/// Finds the password in the lines of a file like `~/.pgpass`: host, port, database, user and password, with colons.
fn password_in(lines: &str, config: &Config) -> Option<String> {
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let wanted = [&host, &port, config.get_dbname().unwrap_or(""), config.get_user().unwrap_or("")];
    lines.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                // The password itself may contain colons.
                ':' if fields.len() <= wanted.len() => fields.push(String::new()),
                '\\' => fields.last_mut()?.extend(characters.next()),
                character => fields.last_mut()?.push(character),
            }
        }
        let is_it = fields.len() > wanted.len()
            && wanted.iter().zip(&fields).all(|(wanted, field)| field == "*" || field == wanted);
        is_it.then(|| fields.pop()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    /// Goal: the parts that an address leaves out come from the environment, and what it names wins.
    #[test]
    fn the_environment_completes_an_address() {
        let variables = with(&[("PGHOST", "db"), ("PGUSER", "me"), ("PGPASSWORD", "s"), ("PGPORT", "6432")]);
        let bare = SharedAddress::parse("postgres://", &variables).unwrap();
        assert_eq!(bare.to_string(), "postgres://me@db:6432/me?run=main");
        assert_eq!(bare.config.get_password(), Some(&b"s"[..]));
        let full = SharedAddress::parse("postgres://you:pw@h1:1,h2:2/d?run=cats&sslmode=require", &variables).unwrap();
        assert_eq!(full.to_string(), "postgres://you@h1:1,h2:2/d?run=cats");
        assert_eq!((full.config.get_password(), full.protection.clone()), (Some(&b"pw"[..]), Protection::Require));
        assert_eq!(full.schema(), "promptbatch_cats");
    }

    /// Goal: no text of an address shows its password. Method: every form, with a password in each place.
    #[test]
    fn no_text_has_the_password() {
        let none = with(&[]);
        for text in ["postgres://u:hunter2@h/d", "postgres://h/d?user=u&password=hunter2"] {
            let address = SharedAddress::parse(text, &none).unwrap();
            assert!(!format!("{address} {address:?}").contains("hunter2"), "{address}");
        }
        for text in [
            "hunter2",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h/d?what=hunter2",
            "postgres://h/d?run=Hunter2",
        ] {
            let error = SharedAddress::parse(text, &none).unwrap_err().to_string();
            assert!(!error.contains("unter2"), "{error}");
        }
    }

    #[test]
    fn a_password_file_is_read_as_psql_reads_it() {
        let lines = "# note\nother:*:*:*:no\nh:5432:d:u:a\\:b:c\n*:*:*:*:last\n";
        let of = |text: &str| password_in(lines, &SharedAddress::parse(text, with(&[])).unwrap().config);
        assert_eq!(of("postgres://u@h/d"), Some("a:b:c".to_owned()));
        assert_eq!(of("postgres://u@h/e"), Some("last".to_owned()));
    }
}
