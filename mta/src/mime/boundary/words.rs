//! The words with which mail clients announce quoted mail, as data: one row a phrase, lower case, any language.
//!
//! Merged by hand from what the clients themselves write; a row is matched by [`text`](super::text), never by a regular expression.

/// What a label of a header block names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Label {
    From,
    Date,
    To,
    Copy,
    Subject,
}

/// Labels of header blocks in front of quoted mail ("From:", "Gesendet:"), without the colon.
pub(super) const LABELS: &[(Label, &[&str])] = &[
    (
        Label::From,
        &[
            "from", "von", "de", "da", "van", "från", "fra", "lähettäjä", "od", "от", "від", "feladó", "kimden", "gönderen", "από", "מאת", "من", "差出人",
            "发件人", "寄件者", "寄件人", "보낸 사람", "보낸사람", "expéditeur", "remitente", "mittente", "absender", "afzender", "avsender", "avsändare", "afsender",
            "nadawca", "expeditor", "odesílatel", "odosielateľ", "šalje", "pošiljatelj", "từ", "dari", "จาก", "kellelt", "nuo", "no", "de la",
            "відправник", "отправитель",
        ],
    ),
    (
        Label::Date,
        &[
            "sent", "date", "gesendet", "datum", "gesendet am", "envoyé", "envoyé le", "enviado", "enviado el", "enviada em", "enviado em", "inviato",
            "data", "data invio", "verzonden", "skickat", "sendt", "dato", "lähetetty", "päivämäärä", "päiväys", "wysłano", "wysłane", "odesláno",
            "odoslané", "poslano", "дата", "отправлено", "отправлен", "надіслано", "elküldve", "dátum", "tarih", "gönderilme zamanı",
            "gönderildi", "ημερομηνία", "στάλθηκε", "תאריך", "נשלח", "تاريخ", "التاريخ", "تم الإرسال", "送信日時", "日付", "日時",
            "发送时间", "发送日期", "日期", "寄件日期", "傳送時間", "時間", "보낸 날짜", "날짜", "trimis", "fecha", "dag", "đã gửi", "ngày", "tanggal", "dikirim", "วันที่",
            "ส่ง", "saadetud", "išsiųsta", "nosūtīts",
        ],
    ),
    (
        Label::To,
        &[
            "to", "an", "à", "a", "para", "aan", "till", "til", "vastaanottaja", "do", "komu", "pro", "za", "кому", "címzett", "kime", "alıcı",
            "προς", "אל", "إلى", "宛先", "收件人", "收件者", "받는 사람", "받는사람", "destinataire", "destinatario", "destinatário", "către", "đến", "tới", "kepada",
            "ถึง", "empfänger", "ontvanger", "mottaker", "modtager", "prima", "kellele", "kam",
        ],
    ),
    (
        Label::Copy,
        &[
            "cc", "kopie", "copie", "cópia", "copia", "kopio", "kopia", "kopi", "копия", "копія", "másolatot kap", "bilgi", "κοιν", "κοιν.", "עותק",
            "نسخة", "抄送", "副本", "참조", "dw", "kópia",
        ],
    ),
    (
        Label::Subject,
        &[
            "subject", "betreff", "betr.", "objet", "asunto", "assunto", "oggetto", "onderwerp", "ämne", "emne", "aihe", "temat", "předmět", "predmet",
            "тема", "tárgy", "konu", "θέμα", "נושא", "الموضوع", "件名", "主题", "主題", "主旨", "제목", "subiect", "sujet", "chủ đề", "tiêu đề", "subjek", "perihal",
            "เรื่อง", "teema", "tema", "assumpte",
        ],
    ),
];

/// What stands between the dashes of a line in front of quoted or forwarded mail ("-----Original Message-----").
pub(super) const SEPARATORS: &[&str] = &[
    "original message", "original appointment", "reply message", "forwarded message", "forwarded by", "begin forwarded message", "forwarded mail",
    "ursprüngliche nachricht", "original-nachricht", "originalnachricht", "weitergeleitete nachricht", "weitergeleitet von", "ursprünglicher termin",
    "message d'origine", "message d’origine", "message original", "message initial", "message transféré", "message transmis", "courriel original",
    "mensaje original", "mensaje reenviado", "mensagem original", "mensagem encaminhada", "mensagem reencaminhada",
    "messaggio originale", "messaggio inoltrato", "oorspronkelijk bericht", "origineel bericht", "oorspronkelijk e-mailbericht", "doorgestuurd bericht",
    "ursprungligt meddelande", "ursprungsmeddelande", "originalmeddelande", "vidarebefordrat meddelande",
    "opprinnelig melding", "videresendt melding", "original meddelelse", "oprindelig meddelelse", "videresendt meddelelse", "videresendt besked",
    "alkuperäinen viesti", "välitetty viesti", "edelleenlähetetty viesti", "oryginalna wiadomość", "wiadomość oryginalna", "wiadomość przekazana",
    "przekazana wiadomość", "treść przekazanej wiadomości", "původní zpráva", "přeposlaná zpráva", "původní e-mail", "pôvodná správa", "preposlaná správa",
    "исходное сообщение", "оригинальное сообщение", "пересылаемое сообщение", "пересланное сообщение", "первоначальное сообщение", "вихідне повідомлення", "переслане повідомлення",
    "eredeti üzenet", "továbbított üzenet", "orijinal mesaj", "özgün ileti", "yönlendirilmiş mesaj", "iletilen mesaj", "iletilen ileti", "αρχικό μήνυμα", "προωθημένο μήνυμα",
    "הודעה מקורית", "הודעה שהועברה", "الرسالة الأصلية", "رسالة أصلية", "رسالة معاد توجيهها", "الرسالة المعاد توجيهها", "元のメッセージ", "オリジナルメッセージ", "転送メッセージ",
    "forwarded message (転送)", "原始邮件", "邮件原件", "转发的邮件", "转发邮件信息", "已转发邮件", "原始郵件", "轉寄的郵件", "轉寄郵件", "원본 메시지", "원본 메일", "전달된 메시지", "mesaj original", "mesajul original",
    "mesaj redirecționat", "missatge original", "missatge reenviat", "originalna poruka", "izvorna poruka", "proslijeđena poruka", "izvirno sporočilo", "оригинално съобщение",
    "препратено съобщение", "thư gốc", "tin nhắn chuyển tiếp", "pesan asli", "pesan terusan", "ข้อความต้นฉบับ", "algne sõnum", "originalus laiškas", "sākotnējais ziņojums",
];

/// Lines that announce forwarded mail without dashes (Apple Mail).
pub(super) const FORWARD_INTRODUCTIONS: &[&str] = &[
    "begin forwarded message:", "anfang der weitergeleiteten nachricht:", "anfang der weitergeleiteten e-mail:", "début du message réexpédié :", "début du message transféré :",
    "début du message réexpédié :", "début du message transféré :", "inicio del mensaje reenviado:", "inizio messaggio inoltrato:", "início da mensagem reenviada:",
    "início da mensagem encaminhada:", "begin doorgestuurd bericht:", "vidarebefordrat mejl:", "vidarebefordrat brev:", "start på videresendt melding:", "videresendt melding:",
    "start på videresendt besked:", "videresendte besked:", "välitetty viesti alkaa:", "początek przekazywanej wiadomości:", "początek przekazanej wiadomości:",
    "začátek přeposílané zprávy:", "začátek přeposlané zprávy:", "začiatok preposlanej správy:", "начало переадресованного сообщения:", "начало переадресованного письма:",
    "початок переадресованого повідомлення:", "továbbított levél kezdete:", "iletilen ileti başlangıcı:", "iletilmiş olan mesaj:", "αρχή προωθημένου μηνύματος:", "תחילת ההודעה שהועברה:",
    "بداية الرسالة المعاد توجيهها:", "転送されたメッセージ:", "転送メッセージ：", "下面是被转发的邮件：", "以下是轉寄的郵件：", "開始轉寄郵件：", "전달된 메시지 시작:", "전달된 메시지:", "începutul mesajului redirecționat:",
];

/// Verbs of a line that attributes quoted mail ("On ... Ada wrote:").
pub(super) const ATTRIBUTIONS: &[&str] = &[
    "wrote", "writes", "schrieb", "geschrieben", "a écrit", "écrit", "escribió", "escribio", "ha scritto", "scrisse", "escreveu", "schreef", "napisał", "pisze",
    "skrev", "kirjoitti", "написал", "пишет", "писал", "написав", "пише", "napsal", "napísal", "írta", "ezt írta", "yazdı", "şunları yazdı", "έγραψε", "כתב",
    "كتب", "のメッセージ", "書きました", "さんは書", "写道", "寫道", "来信", "작성", "님이 작성", "님이 쓴", "a scris", "va escriure", "je napisao", "napisala je", "je napisal", "написа", "đã viết",
    "menulis", "เขียน", "kirjutas", "rašė", "rakstīja", "sent:",
];

/// How a line of attribution may begin ("On ", "Am "); it tells where one that is wrapped over several lines starts.
pub(super) const OPENERS: &[&str] = &[
    "on ", "am ", "le ", "el ", "il ", "em ", "op ", "dnia ", "w dniu ", "den ", "på ", "dne ", "dňa ", "в ", "at ", "в письме", "vào ", "pada ", "la ", "pe data ",
    "στις ", "ב-", "בתאריך", "في ", "tarihinde", "man ", "fre", "za ", "zo ", "ma ", "di ", "wo ", "do ", "vr ", "pon", "wt", "śr", "czw", "pt", "sob", "niedz", "lun", "mar", "mer", "jeu",
    "ven", "sam", "dim", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "пн", "вт", "ср", "чт", "пт", "сб", "вс", "om ", "ti ", "ke ", "to ", "pe ", "su ", "a ", "在", "於", "于",
];

/// Subject prefixes of replies, without the colon.
pub(in super::super) const REPLY_PREFIXES: &[&str] = &[
    "re", "aw", "antw", "antwort", "sv", "vs", "vb", "ré", "rép", "réf", "rif", "r", "res", "resp", "odp", "od", "atb", "ynt", "yan", "cevap", "απ", "σχετ", "ответ", "отв",
    "відп", "re : ", "回复", "回覆", "答复", "答覆", "返信", "답장", "회신", "השב", "תשובה", "رد", "vá", "va", "enc re", "bls", "trả lời", "ref",
];

/// Subject prefixes of forwarded mail, without the colon.
pub(in super::super) const FORWARD_PREFIXES: &[&str] = &[
    "fw", "fwd", "wg", "wtr", "weitergeleitet", "tr", "trans", "rv", "rif fwd", "enc", "i", "inoltra", "doorst", "doorgestuurd", "vb fwd", "vl", "vid", "videres", "pd", "pdl", "podaj dalej", "přep",
    "fwd", "továbbítás", "i̇lt", "ilt", "ytm", "πρθ", "προωθ", "пер", "перес", "пересл", "转发", "轉寄", "轉發", "転送", "전달", "העבר", "הועבר", "إعادة توجيه", "redir", "trs", "chuyển tiếp", "tns",
];

/// Stems that tell a separator or introduction of forwarded mail from one of quoted mail.
pub(super) const FORWARD_STEMS: &[&str] = &[
    "forward", "weitergeleitet", "transf", "transmis", "réexpédié", "reenviad", "encaminhad", "reencaminhad", "inoltrat", "doorgestuurd", "vidarebefordra", "videresend", "välitetty", "edelleenläh",
    "przekaz", "přepos", "prepos", "пересыл", "пересл", "переадрес", "továbbított", "iletil", "yönlendir", "προωθη", "שהועברה", "معاد", "المعاد", "転送", "转发", "轉寄", "전달", "redirec", "proslijeđ",
    "terusan", "chuyển tiếp", "препрат",
];
