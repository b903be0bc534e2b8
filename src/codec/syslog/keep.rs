//! The fields of a message that stay in the body.

use super::message::Fields;

/// Which fields of a syslog message stay in the body, as `keepFields` of Flume's syslog sources says.
///
/// ```
/// use aqueduct::codec::syslog::KeepFields;
///
/// assert_eq!("none".parse::<KeepFields>()?, KeepFields::None);
/// assert_eq!("true".parse::<KeepFields>()?, KeepFields::All);
/// let some: KeepFields = "priority hostname".parse()?;
/// assert!(matches!(some, KeepFields::Some(_)));
/// assert!("priority hostnaem".parse::<KeepFields>().is_err());
/// # Ok::<(), aqueduct::codec::syslog::UnknownField>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepFields {
    /// None: the body is the text of the message (in RFC 5424 with application, process and structured data).
    #[default]
    None,
    /// All: the body is the whole message as it came.
    All,
    /// Some of them, in the order of the message, each but the priority with a blank behind it.
    Some(KeptFields),
}

/// The fields to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a set of four
pub struct KeptFields {
    priority: bool,
    version: bool,
    timestamp: bool,
    hostname: bool,
}

/// A field that syslog messages do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{field:?} is no field of a syslog message; give none, all, or some of priority, version, timestamp and hostname"
)]
#[non_exhaustive]
pub struct UnknownField {
    /// What was given.
    pub field: String,
}

impl std::str::FromStr for KeepFields {
    type Err = UnknownField;

    /// `none` or `false`, `all` or `true`, or names of fields with blanks or commas between them, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "none" | "false" => return Ok(Self::None),
            "all" | "true" => return Ok(Self::All),
            _ => {}
        }
        let mut kept = KeptFields::default();
        for field in text.split([' ', '\t', ',']).filter(|field| !field.is_empty()) {
            match field {
                "priority" => kept.priority = true,
                "version" => kept.version = true,
                "timestamp" => kept.timestamp = true,
                "hostname" => kept.hostname = true,
                _ => return Err(UnknownField { field: field.to_owned() }),
            }
        }
        Ok(if kept == KeptFields::default() { Self::None } else { Self::Some(kept) })
    }
}

impl KeptFields {
    /// The text of a message with the kept fields before it.
    pub(super) fn before(&self, fields: &Fields<'_>, text: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(priority) = fields.priority.filter(|_| self.priority) {
            body.extend([b"<", priority, b">"].concat());
        }
        let others = [(self.version, fields.version), (self.timestamp, fields.date), (self.hostname, fields.host_text)];
        for field in others.into_iter().filter_map(|(wanted, field)| field.filter(|_| wanted)) {
            body.extend_from_slice(field);
            body.push(b' ');
        }
        body.extend_from_slice(text);
        body
    }
}
