"""usage: echo_aiokafka.py ADDRESS NAME IN OUT: aiokafka as a service that knows nothing of Tidings."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main(address, name, source, target):
    reader = AIOKafkaConsumer(source, bootstrap_servers=address, client_id=name, group_id=name,
                              auto_offset_reset="earliest", auto_commit_interval_ms=200)
    writer = AIOKafkaProducer(bootstrap_servers=address, client_id=name)
    await reader.start()
    await writer.start()
    async for event in reader:
        await writer.send(target, event.value)


asyncio.run(main(*sys.argv[1:]))
