//! Small file systems of several kinds, made, mounted, cut off and removed again.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system, unmounted on drop.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: tempfile::TempDir,
    kind: &'static str,
}

impl Disk {
    pub(crate) fn tmpfs(size: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("at")).expect("a directory");
        let disk = Self { dir, kind: "tmpfs" };
        command("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", &disk.text()])?;
        Ok(disk)
    }

    /// A file with a file system in it, on a loop device.
    pub(crate) fn image(kind: &'static str, mebibytes: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("at")).expect("a directory");
        let disk = Self { dir, kind };
        let file = std::fs::File::create(disk.file()).expect("a file");
        file.set_len(mebibytes << 20).expect("a sparse file");
        let image = disk.file();
        command(&format!("mkfs.{kind}"), &["-q", image.to_str().expect("a path in UTF-8")])?;
        disk.mount()?;
        Ok(disk)
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("at")
    }

    fn text(&self) -> String {
        self.path().into_os_string().into_string().expect("a path in UTF-8")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mount(&self) -> Result<(), String> {
        let image = self.file();
        command("mount", &["-o", "loop", image.to_str().expect("a path in UTF-8"), &self.text()])
    }

    /// Allows or forbids writing. Nobody may have a file open for writing.
    pub(crate) fn remount(&self, options: &str) {
        command("mount", &["-o", &format!("remount,{options}"), &self.text()]).expect("a remount");
    }

    /// Stops the file system as a power cut would: what it has not written to its disk yet never gets there.
    pub(crate) fn cut(&self) -> Result<(), String> {
        command("xfs_io", &["-x", "-c", "shutdown", &self.text()])
    }

    /// Unmounts and mounts again, with the file system's own recovery.
    pub(crate) fn mount_again(&self) {
        command("umount", &[&self.text()]).expect("nobody uses it any more");
        self.mount().expect("a file system that recovers");
    }

    /// Writes to a file until only so many bytes are left, or none.
    pub(crate) fn hog(&self, name: &str, left: u64) {
        use std::io::Write as _;
        let path = self.path().join(name);
        let mut hog = std::fs::File::options().append(true).create(true).open(path).expect("a file");
        for chunk in [256 << 10, 4096, 512] {
            let zeros = vec![0x5A; chunk];
            while self.available() > left || left == 0 {
                // Synced, so that room that is only promised counts.
                if hog.write_all(&zeros).and_then(|()| hog.sync_data()).is_err() {
                    break;
                }
            }
        }
    }

    pub(crate) fn available(&self) -> u64 {
        let stat = rustix::fs::statvfs(self.path()).expect("statistics");
        stat.f_bavail * stat.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that could not be mounted has nothing to unmount.
        if is_mounted(&self.path()) {
            let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
            assert!(unmounted.is_ok_and(|status| status.success()), "the file system can be unmounted");
        }
    }
}

fn is_mounted(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == path))
}

fn command(name: &str, args: &[&str]) -> Result<(), String> {
    match Command::new(name).args(args).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
