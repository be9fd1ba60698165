// Drives the official Node client by lines of JSON on stdin; one line on stdout answers each, in any order.
//
//   {"id": 1, "options": {…}, "call": "conversation.message.list", "arguments": […]}
//   {"id": 2, …, "stream": true, "take": 5}      all items of the stream, or the first ones; then it hangs up
//   {"id": 3, …, "stream": true, "until": "waitForChannelMessageBegin"}    up to the first of this type
//   {"id": 4, …, "stream": true, "publish": {…}}  answers every function that waits with this message
//
//   {"id": 1, "value": …}   or   {"id": 1, "error": {"name": …, "message": …, "code": …}, "items": […]}

import readline from 'node:readline'

import { ChatBotKit } from '@chatbotkit/sdk'

function promised({ options, call, arguments: given }) {
  const names = call.split('.')
  const verb = names.pop()
  const client = names.reduce((part, name) => part[name], new ChatBotKit(options))
  return client[verb](...given)
}

async function items(stream, { options, take, until, publish }, heard) {
  for await (const item of stream) {
    heard.push(item)
    // What a channel carries is one level further in.
    const event = item.type === 'message' && item.data.data ? item.data : item
    if (publish && event.type === 'waitForChannelMessageBegin') {
      await new ChatBotKit(options).channel.publish(event.data.channel, { message: publish })
    }
    if (heard.length === take || (until && event.type === until)) break
  }
  return heard
}

function readable(value) {
  const raw = value?.data instanceof ArrayBuffer
  return raw ? { text: new TextDecoder().decode(value.data) } : value
}

async function answer(asked) {
  const heard = []
  try {
    const promise = promised(asked)
    const value = asked.stream ? await items(promise.stream(), asked, heard) : await promise
    return { id: asked.id, value: readable(value) }
  } catch (error) {
    const { name, message, code } = error
    return { id: asked.id, error: { name, message, code }, items: heard }
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  answer(JSON.parse(line)).then((told) => console.log(JSON.stringify(told)))
}
