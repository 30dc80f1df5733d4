//! Holds `src/generated` equal to what `proto/` gives, and makes it anew when asked to:
//! `SEQLINE_UPDATE=1 cargo test -p seqline-api`.

use std::fs;
use std::path::Path;

#[test]
fn the_generated_code_is_that_of_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    let served = ["timeline/v1/timeline.proto", "kratos/api/metadata.proto"];
    let served = protox::compile(served, [root.join("proto")]).unwrap();
    fs::write(fresh.path().join("descriptors.bin"), prost::Message::encode_to_vec(&served))
        .unwrap();
    tonic_prost_build::configure().out_dir(fresh.path()).compile_fds(served).unwrap();
    // Nobody is served this, so it stays out of what reflection shows.
    let etcd = protox::compile(["etcd/rpc.proto"], [root.join("proto")]).unwrap();
    let client = tonic_prost_build::configure().build_server(false).out_dir(fresh.path());
    client.compile_fds(etcd).unwrap();

    for name in ["timeline.v1.rs", "kratos.api.rs", "etcdserverpb.rs", "descriptors.bin"] {
        let made = fs::read(fresh.path().join(name)).unwrap();
        let kept = root.join("src/generated").join(name);
        if std::env::var_os("SEQLINE_UPDATE").is_some() {
            fs::write(&kept, &made).unwrap();
        }
        let same = fs::read(&kept).is_ok_and(|kept| kept == made);
        assert!(
            same,
            "{name} is not that of proto/: run SEQLINE_UPDATE=1 cargo test -p seqline-api"
        );
    }
}
