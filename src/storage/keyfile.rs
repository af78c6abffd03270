//! Where the master key comes from: the environment, or a file made on the first start.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Error;
use super::keyring::Keyring;
use super::sealed::Key;

/// The variable that holds the master key: 32 bytes in base64; several, separated by commas, while one takes over from
/// another: the first seals.
pub const VARIABLE: &str = "CROSSWALK_MASTER_KEY";

/// The master keys: from the variable's value where there is one, else from the file, which is made where missing.
pub fn master_key(variable: Option<&str>, file: &Path) -> Result<Keyring, Error> {
    match variable.filter(|value| !value.trim().is_empty()) {
        Some(value) => {
            let keys = value.split(',').map(Key::from_base64).collect::<Option<Vec<Key>>>();
            let keys = keys.ok_or_else(|| {
                Error::MasterKey(format!(
                    "{VARIABLE} must be 32 bytes in base64; `head -c 32 /dev/urandom | base64` makes one"
                ))
            })?;
            Keyring::new(keys, None)
        }
        None => load_or_create(file),
    }
}

/// The keys in the file, one a line; a missing file is made with a random key and mode 0600.
/// Errors: a file that others than its owner may read, or that holds something else than keys.
pub fn load_or_create(file: &Path) -> Result<Keyring, Error> {
    let keys = match load(file)? {
        Some(keys) => keys,
        None => create(file)?,
    };
    Keyring::new(keys, Some(file))
}

fn fault(file: &Path, says: impl std::fmt::Display) -> Error {
    Error::MasterKey(format!("master key file {}: {says}", file.display()))
}

/// The keys in the file; none where there is no file.
pub(super) fn load(file: &Path) -> Result<Option<Vec<Key>>, Error> {
    let found = match fs::metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(file, error)),
    };
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(
            file,
            format!(
                "mode {mode:04o} lets others than its owner in; run `chmod 600 {}`, and change the key if they may have read it",
                file.display()
            ),
        ));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(|error| fault(file, error))?);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = lines.map(Key::from_base64).collect::<Option<Vec<Key>>>().filter(|keys| !keys.is_empty());
    keys.map(Some).ok_or_else(|| fault(file, "does not hold 32 bytes in base64 on each line"))
}

/// Written beside its place and linked there whole: of two first starts one wins, and no one reads half a key.
fn create(file: &Path) -> Result<Vec<Key>, Error> {
    let keys = vec![Key::random()?];
    let beside = beside(file);
    let written = write_new(&beside, &keys).and_then(|()| fs::hard_link(&beside, file));
    let removed = fs::remove_file(&beside);
    match written {
        Ok(()) => {
            removed.map_err(|error| fault(&beside, error))?;
            tracing::info!(file = %file.display(), "made a new master key: keep a copy, without it nothing sealed can be read");
            Ok(keys)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            load(file)?.ok_or_else(|| fault(file, "went away while it was read"))
        }
        Err(error) => Err(fault(file, error)),
    }
}

/// Puts other keys into the file, all or none of them: who reads it meanwhile reads the old ones or the new ones.
pub(super) fn replace(file: &Path, keys: &[Key]) -> Result<(), Error> {
    let beside = beside(file);
    let done = write_new(&beside, keys).and_then(|()| fs::rename(&beside, file));
    done.map_err(|error| fault(file, error))?;
    // The new name must outlive a power cut: what is wrapped with a key that is nowhere is lost.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| fault(file, error))
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", uuid::Uuid::now_v7()));
    file.with_file_name(name)
}

fn write_new(path: &Path, keys: &[Key]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for key in keys {
        file.write_all(key.to_base64().as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_start_makes_it_the_second_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let first = load_or_create(&file).unwrap().current().unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&file).unwrap().current().unwrap().bytes(), first.bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn many_first_starts_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *load_or_create(&file).unwrap().current().unwrap().bytes()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key == &keys[0]));
    }

    #[test]
    fn wider_permissions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        load_or_create(&file).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let says = load_or_create(&file).unwrap_err().to_string();
            assert!(says.contains("chmod 600") && says.contains(&format!("{mode:04o}")), "{says}");
        }
    }

    #[test]
    fn the_variable_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let key = Key::random().unwrap();
        assert_eq!(
            master_key(Some(&key.to_base64()), &file).unwrap().current().unwrap().bytes(),
            key.bytes()
        );
        assert!(!file.exists());
        let says = master_key(Some("short"), &file).unwrap_err().to_string();
        assert!(says.contains(VARIABLE) && !says.contains("short"), "{says}");
        assert!(master_key(Some(" "), &file).is_ok() && file.exists(), "a blank variable counts as none");
        fs::write(&file, "nonsense").unwrap();
        assert!(load_or_create(&file).unwrap_err().to_string().contains("32 bytes"));
    }
}
