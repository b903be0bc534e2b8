//! Without crashes the simulator and the operating system answer alike: random operations on both, results compared.

use super::*;
use crate::vfs::OsVfs;

const PATHS: [&str; 12] =
    ["a", "b", "lock", "d1", "d2", "d1/a", "d1/b", "d1/d3", "d1/d3/a", "d2/a", "missing/x", "a/x"];
const MODES: [OpenMode; 3] = [OpenMode::Read, OpenMode::ReadWrite, OpenMode::CreateNew];

/// The operating system in a temporary directory and a simulator, side by side.
struct Pair {
    dir: tempfile::TempDir,
    sim: SimVfs,
    files: Vec<(Arc<dyn VfsFile>, Arc<dyn VfsFile>)>,
    locks: Vec<(Box<dyn VfsLock>, Box<dyn VfsLock>)>,
    errors: u64,
}

/// What can be compared of an error.
type Failure = (io::ErrorKind, Option<i32>);

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, sim: SimVfs::new(), files: Vec::new(), locks: Vec::new(), errors: 0 }
    }

    fn on_paths<T>(&self, path: &str, op: impl Fn(&dyn Vfs, &Path) -> io::Result<T>) -> (io::Result<T>, io::Result<T>) {
        let os = op(&OsVfs::new(), &self.dir.path().join(path));
        (os, op(&self.sim, &Path::new("/").join(path)))
    }

    fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, (os, sim): (io::Result<T>, io::Result<T>)) {
        let failure = |error: io::Error| -> Failure { (error.kind(), error.raw_os_error()) };
        let (os, sim) = (os.map_err(failure), sim.map_err(failure));
        self.errors += u64::from(os.is_err());
        assert_eq!(os, sim, "{what}: the operating system left, the simulator right");
    }

    fn step(&mut self, rng: &mut SplitMix) {
        let path = PATHS[rng.index(PATHS.len())];
        match rng.below(12) {
            0..=2 => self.open(path, MODES[rng.index(3)]),
            3 => {
                let results = self.on_paths(path, |vfs, path| vfs.create_dir(path));
                self.same(&format!("create_dir {path}"), results);
            }
            4 => {
                let results = self.on_paths(path, |vfs, path| vfs.remove_file(path));
                self.same(&format!("remove_file {path}"), results);
            }
            5 => self.rename(path, PATHS[rng.index(PATHS.len())], rng.chance(1, 2)),
            6 => {
                let results = self.on_paths(path, |vfs, path| vfs.sync_dir(path));
                self.same(&format!("sync_dir {path}"), results);
            }
            7 => self.lock(path),
            8 if !self.files.is_empty() => drop(self.files.swap_remove(rng.index(self.files.len()))),
            9 if !self.locks.is_empty() => drop(self.locks.swap_remove(rng.index(self.locks.len()))),
            10 => self.compare_tree(""),
            _ => {
                for _ in 0..4 {
                    self.step_file(rng);
                }
            }
        }
    }

    fn open(&mut self, path: &str, mode: OpenMode) {
        let (os, sim) = self.on_paths(path, |vfs, path| vfs.open(path, mode));
        if let (Ok(os), Ok(sim)) = (&os, &sim) {
            self.files.push((Arc::clone(os), Arc::clone(sim)));
        }
        self.same(&format!("open {path} {mode:?}"), (os.map(drop), sim.map(drop)));
    }

    fn lock(&mut self, path: &str) {
        let (os, sim) = self.on_paths(path, |vfs, path| vfs.lock(path));
        let results = (os.as_ref().map(drop).map_err(again), sim.as_ref().map(drop).map_err(again));
        self.same(&format!("lock {path}"), results);
        if let (Ok(os), Ok(sim)) = (os, sim) {
            self.locks.push((os, sim));
        }
    }

    fn rename(&mut self, from: &str, to: &str, replaces: bool) {
        let rename = |vfs: &dyn Vfs, root: &Path| {
            let (from, to) = (root.join(from), root.join(to));
            if replaces { vfs.rename(&from, &to) } else { vfs.rename_new(&from, &to) }
        };
        let results = (rename(&OsVfs::new(), self.dir.path()), rename(&self.sim, Path::new("/")));
        self.same(&format!("rename {from} {to}, replaces {replaces}"), results);
    }

    fn step_file(&mut self, rng: &mut SplitMix) {
        if self.files.is_empty() {
            return;
        }
        let at = rng.index(self.files.len());
        let (os, sim) = (Arc::clone(&self.files[at].0), Arc::clone(&self.files[at].1));
        let offset = if rng.chance(1, 50) { u64::MAX - rng.below(2) } else { rng.below(12_000) };
        let mut bytes = vec![0; rng.index(6000)];
        match rng.below(6) {
            0 => {
                let read = |file: &dyn VfsFile| {
                    let mut buf = vec![0; bytes.len()];
                    file.read_at(&mut buf, offset).map(|n| (n, buf))
                };
                self.same("read_at", (read(&*os), read(&*sim)));
            }
            1 | 2 => {
                rng.fill(&mut bytes);
                let (head, tail) = bytes.split_at(rng.index(bytes.len() + 1));
                let bufs = [IoSlice::new(head), IoSlice::new(tail)];
                self.same("write_at", (os.write_at(&bufs, offset), sim.write_at(&bufs, offset)));
            }
            3 => self.same("set_len", (os.set_len(offset), sim.set_len(offset))),
            4 => self.same("sync_data", (os.sync_data(), sim.sync_data())),
            _ => {
                self.same("map", (os.map(offset).map(|m| m.to_vec()), sim.map(offset).map(|m| m.to_vec())));
                let shape = |file: &dyn VfsFile| file.metadata().map(|m| (m.kind, m.len));
                self.same("metadata", (shape(&*os), shape(&*sim)));
            }
        }
    }

    /// Compares all entries below a directory, with the contents of the files.
    fn compare_tree(&mut self, dir: &str) {
        let list = |vfs: &dyn Vfs, path: &Path| {
            let mut names = vfs.read_dir(path)?;
            names.sort();
            Ok(names)
        };
        let results = self.on_paths(dir, list);
        let names = results.0.as_ref().map(Clone::clone).unwrap_or_default();
        self.same(&format!("read_dir {dir}"), results);
        for name in names {
            let path = Path::new(dir).join(name).into_os_string().into_string().unwrap();
            let kind = |vfs: &dyn Vfs, path: &Path| {
                vfs.metadata(path).map(|m| (m.kind, if m.kind == FileKind::File { m.len } else { 0 }))
            };
            let results = self.on_paths(&path, kind);
            let is_dir = matches!(results.0, Ok((FileKind::Directory, _)));
            self.same(&format!("metadata {path}"), results);
            if is_dir {
                self.compare_tree(&path);
                continue;
            }
            let read = |vfs: &dyn Vfs, path: &Path| {
                let file = vfs.open(path, OpenMode::Read)?;
                let mut bytes = vec![0; usize::try_from(file.metadata()?.len).unwrap()];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes)
            };
            let results = self.on_paths(&path, read);
            self.same(&format!("content of {path}"), results);
        }
    }
}

/// A copy of what can be compared of an error.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[test]
fn random_operations_end_alike_on_the_simulator_and_the_operating_system() {
    let base = seed(0x51u64);
    let (mut errors, mut operations) = (0, 0);
    for round in 0..60 {
        let mut rng = SplitMix::new(base + round);
        let mut pair = Pair::new();
        println!("round {round}: AQUEDUCT_SEED={}", base + round);
        for _ in 0..250 {
            pair.step(&mut rng);
        }
        pair.compare_tree("");
        errors += pair.errors;
        operations += pair.sim.op_count();
    }
    assert!(errors > operations / 20, "errors are part of what is compared");
    println!("{operations} operations, {errors} errors compared");
}
