//! Flume's `exec` source.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{Keys, Made, Registry, Site, SourceSetup};
use crate::limits::{EXEC_BATCH_EVENTS, EXEC_BATCH_WAIT, EXEC_RESTART_PAUSE, LINE_BYTES_CEILING, PROPERTY_MILLIS_MAX};
use crate::source::exec::{Exec, ExecReport};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["exec", "org.apache.flume.source.ExecSource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let command = keys.required("command");
    let source = match keys.optional("shell") {
        Some(shell) => Exec::shell(&shell, &command),
        None => Exec::command_line(&command),
    };
    let batch = keys.batch_size_from_one("batchSize", EXEC_BATCH_EVENTS);
    let mut source = source
        .charset(keys.text("charset", "UTF-8"))
        .batch_max(batch.events().min(site.transaction_events_max()))
        .batch_wait(keys.millis("batchTimeout", 1..=PROPERTY_MILLIS_MAX, EXEC_BATCH_WAIT))
        .line_max_bytes(keys.number("maxLineLength", 4..=LINE_BYTES_CEILING, LINE_BYTES_CEILING));
    if let Some(pause) = restart(keys) {
        source = source.restart(pause);
    }
    if keys.flag("logStdErr", false) {
        source = log_errors(source, site);
    }
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source).batch(batch)),
        // Its settings have the names of the keys, where a key can be wrong.
        Err(error) => Err(keys.refuse_for(error.setting, error.reason)),
    }
}

/// The pause before the command is started again, if it is.
fn restart(keys: &mut Keys) -> Option<Duration> {
    let key = "restartThrottle";
    if !keys.flag("restart", false) {
        keys.optional_number(key, i64::MIN..=i64::MAX);
        return None;
    }
    if !keys.is_set(key) {
        return Some(EXEC_RESTART_PAUSE);
    }
    // Java takes a pause of any length.
    let instead = "Flume does not start the command again";
    keys.bearable(key, 0..=u64::MAX, Borne::Numbers, instead).map(Duration::from_millis)
}

/// Lines as Flume's log has them.
fn log_errors(source: Exec, site: &Site<'_>) -> Exec {
    let log = site.log();
    let mut number = 0_u64;
    source.read_errors(true).on_report(move |report| {
        if let ExecReport::Error(line) = report {
            number += 1;
            // Whoever prints it need not be trusted by whoever reads the log.
            let line = line.replace(|c: char| c.is_control() && c != '\t', "?");
            log(&format!("StderrLogger[{number}] = '{line}'"));
        }
    })
}
