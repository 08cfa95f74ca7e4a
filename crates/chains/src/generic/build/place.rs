//! Where things lie, and that they do not lie within each other.

use std::path::{Component, Path, PathBuf};

use super::Builder;
use crate::generic::file::File;
use crate::generic::problem::Key;
use crate::shape::HomeLayout;

impl Builder<'_, '_> {
    pub(super) fn layout(&mut self, file: &File, config: &Path) -> HomeLayout {
        let paths = &file.paths;
        let at = |name: &str| Key::of("paths").name(name);
        let own = HomeLayout::of_home(&self.home);
        let layout = HomeLayout {
            config: Some(config.to_owned()),
            data: self.folder(&at("data"), &paths.data),
            releases: self.folder(&at("releases"), &paths.releases),
            current: self.folder(&at("current"), &paths.current),
            snapshots: self.folder(&at("snapshots"), &paths.snapshots),
            ..own
        };
        self.check_apart(&layout, config);
        layout
    }

    fn folder(&mut self, key: &Key, text: &str) -> PathBuf {
        let path = self.place(key, text, None, None);
        if Path::new(text).components().any(|part| part == Component::ParentDir) {
            self.document.tell(key, "a path with `..` in it is not allowed here; write the path that it leads to");
        }
        path
    }

    /// A snapshot of the data must hold the data alone, and removing one thing must never remove another.
    fn check_apart(&mut self, layout: &HomeLayout, config: &Path) {
        let places = [
            ("data", &layout.data),
            ("releases", &layout.releases),
            ("current", &layout.current),
            ("snapshots", &layout.snapshots),
        ];
        let told = |name: &str| Key::of("paths").name(name);
        for (index, (name, path)) in places.iter().enumerate() {
            if layout.home.starts_with(path) {
                self.document.tell(&told(name), format!("this is {}, which holds the home itself", path.display()));
                continue;
            }
            let own = [("omnivisor's own folder", layout.state.as_path()), ("the configuration", config)];
            let others = places[..index].iter().map(|(name, path)| (*name, path.as_path()));
            let others = others.filter(|(_, other)| !layout.home.starts_with(other));
            for (other_name, other) in own.into_iter().chain(others) {
                if path.starts_with(other) || other.starts_with(path) {
                    let message = format!(
                        "{} and {} ({other_name}) may not be the same or lie within each other",
                        path.display(),
                        other.display()
                    );
                    self.document.tell(&told(name), message);
                }
            }
        }
    }
}
