"""What api.video has, and the tables it comes to.

May import: nothing.

Change here: an endpoint (a plain list is its columns and one entry; then `make docs test`), a column, its type, a
field that must never be stored.

- videos: the lists and objects of videos: a new one, its columns, their types, what of it is secret
- summaries: the same of summaries
- players: the same of player themes
- live_streams: the same of live streams
- analytics: who watched what: days, and what they are made of
- account: the same of the account: projects, API keys, webhooks, upload tokens
- endpoints: the table of them all; name a new family's file here
- model: what an entry of the table can say
- secrets: fields that must never be stored, whichever payload has them; those of one endpoint: its `secrets`
- derived: what is stored in a secret's place, such as its hash
- naming: how tables and columns are named; columns of ours in every table
- places: what is known of each place in a payload, and how deep it may be
- storable: which texts, numbers and times any warehouse can hold
"""
