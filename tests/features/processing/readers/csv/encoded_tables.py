"""Short tables of places and names, by language, and the legacy encodings in which people's files have them."""

# ruff: noqa: RUF001 - texts in other alphabets
from __future__ import annotations

WESTERN = ("cp1252", "mac_roman", "cp850")
CENTRAL = ("cp1250", "iso8859_2", "cp852")
CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "albanian": ("id,qyteti\n1,Tiranë\n2,Durrës\n3,Vlorë\n4,Korçë\n", ("cp1252",)),
    "arabic": ("رقم,مدينة\n1,القاهرة\n2,الإسكندرية\n3,دمشق\n4,بغداد\n", ("cp1256",)),
    "bulgarian": ("номер,град\n1,Пловдив\n2,Варна\n3,Стара Загора\n4,Велико Търново\n", ("cp1251", "iso8859_5", "cp866")),
    "chinese_simplified": ("编号,城市\n1,北京\n2,上海\n3,广州\n4,深圳\n5,成都\n", ("gb18030",)),
    "chinese_traditional": ("編號,城市\n1,臺北\n2,高雄\n3,臺中\n4,新竹\n5,嘉義\n", ("cp950",)),
    "croatian": ("id,grad\n1,Šibenik\n2,Čakovec\n3,Poreč\n4,Požega\n5,Đakovo\n", CENTRAL),
    "czech": ("id,město\n1,Plzeň\n2,České Budějovice\n3,Ústí nad Labem\n4,Žďár\n", CENTRAL),
    "danish": ("id,by\n1,Århus\n2,Køge\n3,Helsingør\n4,Næstved\n", WESTERN),
    "dutch": ("id,naam\n1,Zoë\n2,Daniël\n3,Coördinator\n4,België\n", WESTERN),
    "estonian": ("id,linn\n1,Pärnu\n2,Jõhvi\n3,Põlva\n4,Võru\n5,Šveits\n", ("cp1257",)),
    "finnish": ("id,kaupunki\n1,Jyväskylä\n2,Hämeenlinna\n3,Järvenpää\n4,Ylöjärvi\n", WESTERN),
    "french": ("id,ville\n1,Orléans\n2,Besançon\n3,Nîmes\n4,Béziers\n5,Fontainebleau-Forêt\n", WESTERN),
    "german": ("id,stadt\n1,München\n2,Köln\n3,Österreich\n4,Großau\n", WESTERN),
    "greek": ("κωδικός,πόλη\n1,Αθήνα\n2,Θεσσαλονίκη\n3,Πάτρα\n4,Ηράκλειο\n", ("cp1253", "iso8859_7", "cp737")),
    "hebrew": ("מספר,עיר\n1,ירושלים\n2,חיפה\n3,באר שבע\n4,נתניה\n", ("cp1255", "cp862")),
    "hungarian": ("id,város\n1,Győr\n2,Székesfehérvár\n3,Érd\n4,Hódmezővásárhely\n", CENTRAL),
    "icelandic": ("id,staður\n1,Reykjavík\n2,Kópavogur\n3,Hafnarfjörður\n4,Þorlákshöfn\n", ("cp1252",)),
    "italian": ("id,città\n1,Forlì\n2,Cantù\n3,Società Umanitaria\n4,Perché no\n", WESTERN),
    "japanese": ("番号,都市\n1,東京\n2,大阪\n3,さいたま市\n4,トヨタ\n", ("cp932", "euc_jp")),
    "korean": ("번호,도시\n1,서울\n2,부산\n3,대구\n4,인천\n", ("cp949",)),
    "latvian": ("id,pilsēta\n1,Rīga\n2,Liepāja\n3,Jūrmala\n4,Rēzekne\n5,Ķegums\n", ("cp1257",)),
    "lithuanian": ("id,miestas\n1,Klaipėda\n2,Šiauliai\n3,Panevėžys\n4,Mažeikiai\n", ("cp1257",)),
    "norwegian": ("id,by\n1,Tromsø\n2,Ålesund\n3,Bodø\n4,Hønefoss\n", WESTERN),
    "polish": ("id,miasto\n1,Łódź\n2,Kraków\n3,Gdańsk\n4,Poznań\n5,Wrocław\n", CENTRAL),
    "portuguese": ("id,cidade\n1,São Paulo\n2,Brasília\n3,Goiânia\n4,Maceió\n5,Açores\n", WESTERN),
    "romanian": ("id,oraş\n1,Bucureşti\n2,Iaşi\n3,Constanţa\n4,Galaţi\n5,Brăila\n", ("cp1250", "iso8859_2")),
    "russian": ("номер,город\n1,Москва\n2,Казань\n3,Нижний Новгород\n4,Пермь\n", CYRILLIC),
    "serbian": ("број,град\n1,Београд\n2,Нови Сад\n3,Ниш\n4,Краљево\n5,Ваљево\n", ("cp1251", "iso8859_5")),
    "slovak": ("id,mesto\n1,Košice\n2,Žilina\n3,Banská Bystrica\n4,Trenčín\n5,Spišská Nová Ves\n", CENTRAL),
    "slovenian": ("id,kraj\n1,Škofja Loka\n2,Kočevje\n3,Črnomelj\n4,Žalec\n", CENTRAL),
    "spanish": ("id,ciudad\n1,Málaga\n2,Córdoba\n3,La Coruña\n4,Cádiz\n5,León\n", WESTERN),
    "swedish": ("id,stad\n1,Göteborg\n2,Malmö\n3,Västerås\n4,Örebro\n", WESTERN),
    "thai": ("ลำดับ,เมือง\n1,เชียงใหม่\n2,ภูเก็ต\n3,ขอนแก่น\n4,อุดรธานี\n", ("cp874",)),
    "turkish": ("no,şehir\n1,İstanbul\n2,Eskişehir\n3,Diyarbakır\n4,Muğla\n", ("cp1254", "iso8859_9", "cp857")),
    "ukrainian": ("номер,місто\n1,Київ\n2,Львів\n3,Чернівці\n4,Запоріжжя\n", ("cp1251", "koi8_u")),
    "vietnamese": ("sô\u0301,thành phô\u0301\n1,Hà Nô\u0323i\n2,Đà Nă\u0303ng\n3,Vu\u0303ng Tàu\n4,Quy Nhơn\n", ("cp1258",)),
}
