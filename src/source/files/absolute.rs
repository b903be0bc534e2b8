//! Absolute paths, as they are told in headers.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The absolute form of a path, as Java writes it: slashes are single and none is at the end, `.` and `..` stay.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    // Where the path needs none, there need not be a working directory either.
    let whole = if path.is_absolute() { path.to_path_buf() } else { std::env::current_dir()?.join(path) };
    let parts = whole.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let written = parts.fold(Vec::new(), |mut written, part| {
        written.push(b'/');
        written.extend_from_slice(part);
        written
    });
    Ok(if written.is_empty() { "/".into() } else { OsString::from_vec(written).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_java_writes_them() {
        let here = std::env::current_dir().unwrap().into_os_string().into_string().unwrap();
        for (path, expected) in [
            ("/var//log/", "/var/log".to_owned()),
            ("/var/./log/../x/.", "/var/./log/../x/.".to_owned()),
            ("//", "/".to_owned()),
            ("in", format!("{here}/in")),
            ("./in//a", format!("{here}/./in/a")),
            (".", format!("{here}/.")),
        ] {
            // As text: paths that differ in `.` only are equal.
            assert_eq!(absolute(Path::new(path)).unwrap().into_os_string(), *expected, "{path}");
        }
    }

    #[test]
    fn an_absolute_path_needs_no_working_directory() {
        if std::env::current_dir().is_err() {
            assert_eq!(absolute(Path::new("/var//log")).unwrap(), Path::new("/var/log"));
            return;
        }
        let (program, dir) = (std::env::current_exe().unwrap(), tempfile::tempdir().unwrap());
        let test = "source::files::absolute::tests::an_absolute_path_needs_no_working_directory";
        let mut elsewhere = std::process::Command::new("sh");
        elsewhere.args(["-c", "rmdir \"$PWD\" && exec \"$0\" --exact \"$1\""]).arg(program).arg(test);
        assert!(elsewhere.current_dir(dir.path()).status().unwrap().success());
    }
}
