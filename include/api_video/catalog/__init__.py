"""What api.video has, and the tables it comes to.

May import: nothing.

- videos: the lists, objects, columns and types of videos; `secrets` names fields that must never be stored
- summaries: the same of summaries
- players: the same of player themes
- live_streams: the same of live streams
- account: the same of the account's API keys
- table: which families of endpoints there are
- model: what an entry of the table can say
- tables: columns of the ledger and of our other tables, and how tables and columns are named
- places: fields that are secrets wherever they turn up; how deep a payload may be
- values: which texts, numbers and times a warehouse can hold
"""
