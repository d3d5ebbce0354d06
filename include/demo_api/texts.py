"""Texts of an invented company: titles, descriptions, tags and summaries in several languages."""

from __future__ import annotations

# language -> patterns of a title, topics, a description
TITLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "en": (
        ("Training: {}", "Webinar: {}", "Product demo: {}", "Customer story: {}", "Onboarding: {}", "All hands: {}"),
        (
            "working safely at height",
            "the new invoicing screen",
            "reading a heat pump's data sheet",
            "first aid in the workshop",
            "how a bakery cut its energy bill by a third",
            "data protection in five steps",
            "what changed this quarter",
            'questions & answers about "smart" meters',
        ),
        "Recorded for everyone who could not be there. Slides and exercises are on the intranet.",
    ),
    "fr": (
        ("Formation : {}", "Webinaire : {}", "Démonstration : {}", "Témoignage client : {}"),
        (
            "travailler en hauteur en sécurité",
            "le nouvel écran de facturation",
            "entretenir une pompe à chaleur",
            "l'accueil des nouveaux collègues",
            "protéger les données en cinq étapes",
        ),
        "À voir avant la réunion d'équipe.\nLes supports se trouvent sur l'intranet.",
    ),
    "de": (
        ("Schulung: {}", "Webinar: {}", "Produktvorführung: {}", "Kundenstimme: {}"),
        (
            "Arbeitsschutz in der Werkstatt",
            "die neue Rechnungsmaske",
            "Wärmepumpen richtig einstellen",
            "Grüße vom Betriebsrat",
            "Datenschutz in fünf Schritten",
        ),
        "Für alle, die nicht dabei sein konnten. Fragen bitte an die Schulungsabteilung.",
    ),
    "es": (
        ("Formación: {}", "Seminario web: {}", "Demostración: {}"),
        ("seguridad en el taller", "la nueva pantalla de facturación", "¿cómo leer el contador?", "el año en cifras"),
        "Grabado para quienes no pudieron asistir.",
    ),
    "ja": (
        ("研修「{}」", "ウェビナー「{}」", "製品デモ「{}」"),
        ("安全な高所作業", "新しい請求画面", "ヒートポンプの点検", "情報保護の基本"),
        "参加できなかった方のための録画です。",
    ),
}
# English is the most frequent, as in most companies.
LANGUAGES = ("en", "en", "en", "en", "fr", "de", "de", "es", "ja")

TAGS = (
    "training",
    "safety",
    "webinar",
    "product",
    "onboarding",
    "customer story",
    "internal",
    "Q&A",
    "été",
    "ISO 45001",
)
METADATA: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Department", ("Sales", "Service", "People", "Production", "Vertrieb")),
    ("Speaker", ("Mira Castell", "Tomas Brandvold", "Aiko Hartmann", "Zoë Lindqvist")),
    ("Audience", ("employees", "customers", "partners")),
    ("Course", ("HS-101", "HS-204", "INV-12", "DP-5")),
    ("Campaign", ("spring", "autumn", "")),
)

PLAYER_NAMES = ("House style", "Training portal", "Customer site", "Trade fair", "Dark", "Kiosk", "Intranet")
STREAM_NAMES = (
    "Town hall",
    "Weekly service call",
    "Trade fair stage",
    "Product launch",
    "Sprechstunde Service",
    "Studio 2",
)
RESTREAM_NAMES = ("YouTube", "Twitch", "LinkedIn")
LANGUAGE_NAMES = {"en": "English", "fr": "Français", "de": "Deutsch", "es": "Español", "pt-BR": "Português"}
WEBHOOK_HOSTS = ("hooks.example.com", "media.example.com", "events.example.net")
WEBHOOK_EVENTS = (
    "video.encoding.quality.completed",
    "video.source.recorded",
    "live-stream.broadcast.started",
    "live-stream.broadcast.ended",
)
PROJECT_NAMES = ("Public site", "Internal training", "Trade fair 2026")
API_KEY_NAMES = ("Website", "Data warehouse", "Upload script")

ABSTRACTS = (
    """The speaker walks through the new screens step by step, shows the mistakes that service calls report most often,
and explains who to ask when a customer's data looks wrong. The second half answers questions from the audience.""",
    """A short course for people who work in the workshop: which equipment is checked each morning, how to report a
fault, and what to do in the first five minutes after an accident. The exercises are part of the yearly briefing.""",
    """Une présentation de l'année écoulée : les chiffres, les projets terminés et ceux qui commencent. L'équipe répond
ensuite aux questions posées à l'avance et pendant la réunion.""",
)
TAKEAWAYS = (
    "Equipment is checked every morning, before the first job.",
    "A fault is reported the same day, with a photo.",
    "The new invoicing screen saves two steps per order.",
    "Questions go to the training team, not to the speaker.",
    "Le service client répond en moins d'un jour ouvré.",
)
