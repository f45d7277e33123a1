use crate::harness::*;

#[test]
fn a_message_passes_unedited_and_a_signed_one_is_signed() {
    run(async {
        let t = std::time::Instant::now();
        let rig = Setup::new().start().await;
        eprintln!("start {:?}", t.elapsed());
        let mail = message("ada@northwind.example", "smoke-1", "hello\r\n");
        rig.send("ada@northwind.example", &["a@contoso.example", "b@contoso.example"], &mail).await.is("250");
        let one = rig.one();
        assert_eq!(below_trace(&one.content), mail);
        eprintln!("{:?} {}", rig.event(), String::from_utf8_lossy(&one.content));
        let t = std::time::Instant::now();
        let rig = Setup::signing().start().await;
        eprintln!("start {:?}", t.elapsed());
        rig.send("ada.king@northwind.example", &["a@contoso.example"], &message("ada.king@northwind.example", "s", "Hi\r\n")).await.is("250");
        eprintln!("{:?} {}", rig.event(), String::from_utf8_lossy(&rig.one().content));
    });
}
