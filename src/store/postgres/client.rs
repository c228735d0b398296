//! Connection to the server of a shared run: connects again by itself, waits for no answer without end, and says what went wrong.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, SimpleQueryRow};

use crate::model::one_line::one_line;
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::tls::Encryption;

/// Time limit of one statement of a worker.
const STATEMENT_MAX: Duration = Duration::from_secs(8);

/// Values of a statement, each with its type: a statement is never prepared, so that poolers in transaction mode work.
pub(super) type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// Reason why a statement has no result.
#[derive(Debug)]
pub(super) enum StatementError {
    /// No answer. The statement may have happened. A later one may succeed.
    Unavailable(String),
    /// Error that the server reports: its code, and a refusal with a remedy.
    Refused(Option<SqlState>, LedgerError),
}

/// Result of a statement.
pub(super) type StatementResult<T> = Result<T, StatementError>;

impl From<StatementError> for LedgerError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Refused(_, error) => error,
            StatementError::Unavailable(what) => Self::NoAnswer { what },
        }
    }
}

/// Server of a shared run, with at most one connection.
pub(super) struct PostgresClient {
    address: SharedAddress,
    encryption: Encryption,
    /// Connection in use; `None` before the first statement, and after a failure.
    open: Mutex<Option<Arc<Client>>>,
    /// One attempt to connect at a time.
    connecting: tokio::sync::Mutex<()>,
}

impl PostgresClient {
    /// Prepares a connection, which the first statement opens.
    pub(super) fn new(address: SharedAddress) -> Result<Self, LedgerError> {
        let encryption = Encryption::new(&address.protection).map_err(|error| LedgerError::Server {
            place: address.to_string(),
            what: format!("the certificates of sslrootcert cannot be read: {error}"),
            remedy: "name a readable file of certificates in PEM",
        })?;
        Ok(Self { address, encryption, open: Mutex::default(), connecting: tokio::sync::Mutex::default() })
    }

    /// Returns the address, which contains no password.
    pub(super) fn address(&self) -> &SharedAddress {
        &self.address
    }

    /// Returns the address as the path of a ledger, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.address.to_string().into()
    }

    /// Returns the error for a run that cannot be used.
    pub(super) fn refusal(&self, what: impl Into<String>, remedy: &'static str) -> LedgerError {
        LedgerError::Server { place: self.address.to_string(), what: what.into(), remedy }
    }

    /// Returns the error for content that is not what was recorded.
    pub(super) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path(), what: what.into() }
    }

    /// Runs one statement, and returns its rows.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> StatementResult<Vec<Row>> {
        let client = self.connection().await?;
        self.within(&client, STATEMENT_MAX, client.query_typed(sql, params)).await
    }

    /// Runs one statement, and returns its only row.
    pub(super) async fn query_one(&self, sql: &str, params: Params<'_>) -> StatementResult<Row> {
        let mut rows = self.query(sql, params).await?;
        rows.pop().ok_or_else(|| StatementError::Refused(None, self.damaged("a table that has one row is empty")))
    }

    /// Runs several statements without values as one transaction, in one message. Each sees what was committed before it began. Returns the only
    /// row of the last one, in text.
    pub(super) async fn batch_row(&self, sql: &str) -> StatementResult<SimpleQueryRow> {
        let client = self.connection().await?;
        let messages = self.within(&client, STATEMENT_MAX, client.simple_query(sql)).await?;
        let row = messages.into_iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        row.ok_or_else(|| StatementError::Refused(None, self.damaged("a table that has one row is empty")))
    }

    /// Runs several statements without values as one transaction, in one message.
    pub(super) async fn batch(&self, sql: &str) -> StatementResult<()> {
        let client = self.connection().await?;
        self.within(&client, STATEMENT_MAX, client.batch_execute(sql)).await
    }

    /// Waits for an answer, at most so long. A connection without one is given up.
    pub(super) async fn within<T>(
        &self,
        client: &Arc<Client>,
        time: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> StatementResult<T> {
        let failed = match timeout(time, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.unavailable(&format!("no answer within {} s", time.as_secs())),
        };
        if matches!(failed, StatementError::Unavailable(_)) {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.take_if(|open| Arc::ptr_eq(open, client));
        }
        Err(failed)
    }

    /// Returns the open connection, or a new one.
    pub(super) async fn connection(&self) -> StatementResult<Arc<Client>> {
        let is_open = || {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.clone().filter(|client| !client.is_closed())
        };
        if let Some(client) = is_open() {
            return Ok(client);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(client) = is_open() {
            return Ok(client);
        }
        let client = Arc::new(self.connect().await?);
        self.check(&client).await?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn connect(&self) -> StatementResult<Client> {
        let connecting = timeout(STATEMENT_MAX, self.address.config.connect(self.encryption.clone())).await;
        let (client, connection) =
            connecting.map_err(|_| self.unavailable("no connection in time"))?.map_err(|error| self.failed(&error))?;
        // It ends when the client is dropped, or with the connection.
        drop(tokio::spawn(connection));
        Ok(client)
    }

    /// Refuses a server that may lose what it acknowledged, and one that takes no writes.
    async fn check(&self, client: &Arc<Client>) -> StatementResult<()> {
        let sql = "SELECT current_setting('fsync'), current_setting('full_page_writes'), pg_is_in_recovery()";
        let rows = timeout(STATEMENT_MAX, client.query_typed(sql, &[])).await;
        let rows = rows
            .map_err(|_| self.unavailable("no answer after the connection"))?
            .map_err(|error| self.failed(&error))?;
        let row = rows.first().ok_or_else(|| self.unavailable("an empty answer"))?;
        if row.get::<_, bool>(2) {
            return Err(self.unavailable("the server is a standby that takes no writes"));
        }
        for (column, setting) in ["fsync", "full_page_writes"].into_iter().enumerate() {
            if row.get::<_, &str>(column) == "off" {
                let what = format!("its server runs with {setting} = off, and may lose what it has confirmed");
                return Err(StatementError::Refused(
                    None,
                    self.refusal(what, "switch the setting on, and restart the server"),
                ));
            }
        }
        Ok(())
    }

    fn unavailable(&self, what: &str) -> StatementError {
        StatementError::Unavailable(format!("{}: {what}", self.address))
    }

    /// Classifies an error of the driver. Its texts contain no password.
    pub(super) fn failed(&self, error: &Error) -> StatementError {
        let Some(told) = error.as_db_error() else {
            let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
            let words = one_line(&format!("{error}{cause}"));
            return match remedy_of_settings(&words) {
                Some(remedy) => StatementError::Refused(None, self.refusal(words, remedy)),
                None => self.unavailable(&words),
            };
        };
        let code = told.code().clone();
        let what = one_line(told.message());
        // Connection lost, server shutting down or starting, too many connections, deadlock or conflict: the same may succeed later.
        let passes = ["08", "57P", "53", "40"].iter().any(|class| code.code().starts_with(class));
        if passes {
            return self.unavailable(&what);
        }
        let remedy = match code.code() {
            "28000" | "28P01" => "check the user and the password (PGUSER, PGPASSWORD, ~/.pgpass)",
            "3D000" => "create the database, or name another one",
            "3F000" | "42P01" => "share the run first with `promptbatch share`, or name another run with ?run=NAME",
            "42501" => "let this user create schemas in the database: GRANT CREATE ON DATABASE .. TO ..",
            _ => "once that is fixed, run the same command again",
        };
        StatementError::Refused(Some(code), self.refusal(what, remedy))
    }
}

/// Returns what to do about a connection that can never succeed with these settings; `None` if a later attempt may.
fn remedy_of_settings(words: &str) -> Option<&'static str> {
    let remedies = [
        ("password missing", "give the password in PGPASSWORD or ~/.pgpass"),
        ("invalid peer certificate", "name the certificate of its authority with sslrootcert, or use sslmode=require"),
        ("server does not support TLS", "switch TLS on at the server, or use sslmode=disable"),
    ];
    remedies.into_iter().find(|(cause, _)| words.contains(cause)).map(|(_, remedy)| remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: nobody waits for a connection that cannot come. The words are those of the driver.
    #[test]
    fn wrong_settings_are_no_outage() {
        for words in [
            "invalid configuration: password missing",
            "error performing TLS handshake: invalid peer certificate: UnknownIssuer",
            "error performing TLS handshake: server does not support TLS",
        ] {
            assert!(remedy_of_settings(words).is_some(), "{words}");
        }
        for words in ["error connecting to server: Connection refused (os error 111)", "connection closed"] {
            assert_eq!(remedy_of_settings(words), None, "{words}");
        }
    }
}
