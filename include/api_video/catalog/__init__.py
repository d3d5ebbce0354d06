"""What api.video has, and the tables it comes to.

May import: nothing.

- videos: the lists and objects of videos: a new one, its columns, their types, what of it is secret
- summaries: the same of summaries
- players: the same of player themes
- live_streams: the same of live streams
- account: the same of the account's API keys
- endpoints: the table of them all: a new family
- model: what an entry can say: an endpoint, a column and its type, how it is kept current
- secrets: fields that must never be stored, whichever payload has them
- naming: how tables and columns are named; columns of ours in every table
- places: what is known of each place in a payload, and how deep it may be
- values: which texts, numbers and times a warehouse can hold
"""
